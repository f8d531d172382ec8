"""Connecting by OAuth: a person is sent to a platform, agrees there, and comes back with a code.

The state binds the way back to the account, and to the browser that began it. A way that was begun with an
API key is finished by whoever is signed in to that account: a link that is passed on to somebody else
connects nothing of theirs.
"""

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from chamade_mcp.core.accounts import require_verified
from chamade_mcp.core.connections import ConnectionDeps, Connections
from chamade_mcp.core.pairing_rows import Person
from chamade_mcp.core.people import PairingLinks
from chamade_mcp.core.roster import Listed
from chamade_mcp.core.ways import Ways
from chamade_mcp.kit.connector import AuthNeeded, PlatformUnavailable
from chamade_mcp.kit.oauth import Agreed, Asking, SignsIn
from chamade_mcp.kit.waiting import race
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import Conflict, GatewayError, LimitReached, NotAvailable
from chamade_mcp.model.ids import COMMON, ConversationRef, Platform
from chamade_mcp.model.messages import plain_line

log = logging.getLogger(__name__)
audit = logging.getLogger("chamade_mcp.audit")

_EXCHANGE_S: Final = 20.0


class Trouble(StrEnum):
    """Why nothing was connected, as the dashboard is told: ``error=<platform>_<trouble>``."""

    DENIED = "denied"
    """The person said no."""
    EXPIRED = "expired"
    """The state is unknown, used, over ten minutes old, or another browser's or account's: told alike."""
    REFUSED = "refused"
    """The platform, or the app that who runs the gateway has there, is in the way; the log says how."""
    UNAVAILABLE = "unavailable"
    TAKEN = "taken"
    """The bot is connected to another agent or account."""
    LIMIT = "limit"


_WORDS: Final = {
    Trouble.DENIED: "You said no there.",
    Trouble.EXPIRED: "It took over ten minutes, or was begun in another browser or account. Begin again.",
    Trouble.REFUSED: "The two did not agree: who runs this gateway finds the reason in its log.",
    Trouble.UNAVAILABLE: "It does not answer at the moment. Begin again in a minute.",
    Trouble.TAKEN: "Its bot is connected already, to another agent or account: remove it there first.",
    Trouble.LIMIT: "The account has as many connections, or people, as it may have.",
}


def words_of(code: str) -> str:
    """What a person is told; "" for a code that is none of these."""
    return next((words for trouble, words in _WORDS.items() if trouble == code), "")


class NotLinked(Exception):
    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class _Way:
    principal: Principal
    platform: Platform
    redirect_uri: str
    verifier: str = field(repr=False)


class Linking:
    def __init__(self, deps: ConnectionDeps, connections: Connections, people: PairingLinks) -> None:
        self._d = deps
        self._connections = connections
        self._people = people
        self._ways: Ways[_Way] = Ways(deps.clock)

    def begin(self, principal: Principal, platform: Platform) -> str:
        """Where to send the person's browser. Raises `NotAvailable`, and `Forbidden` without a verified
        e-mail address."""
        require_verified(principal)
        connector = self._connector(platform)
        redirect_uri = f"{self._d.public_url}/connect/{platform}/callback"
        way = _Way(principal, platform, redirect_uri, secrets.token_urlsafe(32))
        asking = Asking(self._ways.open(principal.account, way), way.redirect_uri, way.verifier)
        return connector.authorize_url(self._settings(platform), asking)

    async def finish(self, principal: Principal, platform: Platform, told: Mapping[str, str]) -> Listed:
        """The browser is back: `told` are the parameters of its address. Raises `NotLinked`, and
        `NotAvailable`."""
        connector = self._connector(platform)
        state = told.get("state", "")
        way = self._ways.take(state)
        if way is None or way.platform != platform:
            raise NotLinked(Trouble.EXPIRED)
        began = way.principal
        if began.account != principal.account or began.browser not in (None, principal.browser):
            audit.info("a sign-in at %s came back to another browser or account", platform)
            raise NotLinked(Trouble.EXPIRED)
        code = told.get("code", "")
        if told.get("error") or not code:
            self._note(platform, told.get("error", "no code"))
            raise NotLinked(Trouble.DENIED if told.get("error") == "access_denied" else Trouble.REFUSED)
        asking = Asking(state, way.redirect_uri, way.verifier)
        agreed = await self._exchange(connector, platform, asking, code)
        try:
            return await self._link(began, platform, agreed)
        except (Conflict, LimitReached) as error:
            self._note(platform, error.detail)
            raise NotLinked(Trouble.TAKEN if isinstance(error, Conflict) else Trouble.LIMIT) from None

    # --- inside --------------------------------------------------------------------------------------------

    async def _exchange(self, connector: SignsIn, platform: Platform, asking: Asking, code: str) -> Agreed:
        exchange = connector.exchange(self._settings(platform), asking, code)
        try:
            done, _ = await race(exchange, self._d.clock.sleep(_EXCHANGE_S))
            if done.cancelled():
                raise PlatformUnavailable("no answer in time")
            return done.result()
        except PlatformUnavailable as error:
            self._note(platform, str(error))
            raise NotLinked(Trouble.UNAVAILABLE) from None
        except (AuthNeeded, GatewayError) as error:
            self._note(platform, error.detail if isinstance(error, GatewayError) else str(error))
            raise NotLinked(Trouble.REFUSED) from None

    async def _link(self, principal: Principal, platform: Platform, agreed: Agreed) -> Listed:
        link = (platform, COMMON)
        if agreed.bot is not None:
            identity = replace(agreed.bot.identity, name=plain_line(agreed.bot.identity.name)[:200])
            bot = replace(agreed.bot, identity=identity)
            link = (platform, (await self._connections.adopt(principal, platform, bot)).id)
        person = Person.of(agreed.person, agreed.conversation or ConversationRef(""))
        listed = await self._people.pair(principal.scope, link, person)
        audit.info("a person of %s was paired with %s by signing in there", platform, listed.id)
        return listed

    def _connector(self, platform: Platform) -> SignsIn:
        connector = self._d.connectors.get(platform)
        if platform not in self._d.platforms.sign_ins or not isinstance(connector, SignsIn):
            manifest = self._d.platforms.require(platform)
            words = f"Who runs this gateway has set up no app for signing in at {manifest.title}"
            other = ": connect a bot of your own by POST /api/bot-tokens" if manifest.bot else ""
            raise NotAvailable(words + other, platform=platform)
        return connector

    def _settings(self, platform: Platform) -> Mapping[str, str]:
        return self._d.platforms.link_settings(platform, None)

    @staticmethod
    def _note(platform: Platform, words: str) -> None:
        log.warning("nobody was connected to %s: %s", platform, plain_line(words)[:300])
