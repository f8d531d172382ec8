"""What connectors offer and are offered for bots of people's own, inbound webhooks and the shared bot.

The two facets are a connector's own choice, known by their methods: `OwnBots` where a person can bring a bot,
`Hooked` on the link of a platform that calls us.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

from chamade_mcp.model.access import Scope
from chamade_mcp.model.connections import Identity
from chamade_mcp.model.ids import ConnectionId, ConversationRef
from chamade_mcp.model.messages import Sender

T = TypeVar("T")


Renew = Callable[[Mapping[str, str]], Awaitable[None]]


async def _nowhere(settings: Mapping[str, str]) -> None:
    del settings
    raise RuntimeError("nobody keeps what this connection is given")


@dataclass(frozen=True, slots=True)
class StoredConnection:
    """The bot that a link is opened for. Its settings are the `Context`'s."""

    id: ConnectionId
    scope: Scope
    """What it hears belongs to this agent."""
    identity: Identity
    """As of the last `verify`."""
    hook_url: str
    """Where the platform reaches `Hooked.receive` of this very link."""
    renew: Renew = field(default=_nowhere, repr=False)
    """For what the platform gives the bot instead of credentials that end: some of its settings. Returns once
    they are stored; the link is closed soon, and opened anew with them."""


@runtime_checkable
class OwnBots(Protocol):
    """A connector that opens a link for each bot that people bring; its manifest names the settings."""

    async def verify(self, settings: Mapping[str, str]) -> Identity:
        """Asks the platform who this is, when credentials are saved or tested.

        Raises `AuthNeeded` with the platform's words when they are refused, `PlatformUnavailable`, or
        `ValidationFailed` naming the setting that cannot be right.
        """
        ...


@dataclass(slots=True)
class Hook:
    """A request of a platform, as it came in: nothing of it is verified. Not to be changed; to make a frozen
    one takes thrice as long."""

    method: str
    path: str
    query: Mapping[str, str]
    """Of a repeated name the last."""
    headers: Mapping[str, str]
    """Names in lower case; of a repeated header the last."""
    body: bytes = field(repr=False)
    _known: dict[object, Any] | None = field(default=None, init=False, repr=False, compare=False)

    def once(self, read: Callable[[bytes], T]) -> T:
        """What `read` makes of the body, made once for all who ask: for who looks whom it is for, and for the
        link. What it raises is raised each time."""
        known = self._known = self._known or {}
        if read not in known:
            known[read] = read(self.body)
        return known[read]


class HookReply(NamedTuple):
    status: int = 200
    body: bytes = b""
    media_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = MappingProxyType({})


TAKEN: Final = HookReply()
"""That of most platforms, which look at the status alone."""


class HookRefused(Exception):
    """The signature or token of a webhook is missing or wrong: it is not from this link's platform."""


@runtime_checkable
class Hooked(Protocol):
    """A link whose platform calls us."""

    async def receive(self, hook: Hook) -> HookReply:
        """Verifies first, on the raw body, else raises `HookRefused`; then emits what the platform says.

        The answer acknowledges: return it after `Context.emit` has returned, since the platform will not
        repeat what was answered, and soon, since platforms wait for a few seconds only. Emit outside of any
        timeout: what is being told is not to be cut off.
        """
        ...


class Whom(Enum):
    EVERYBODY = auto()
    """Every bot whose link takes it for its platform's: the platform does not say which it means."""


EVERYBODY: Literal[Whom.EVERYBODY] = Whom.EVERYBODY


@runtime_checkable
class HookAddress(Protocol):
    """A connector whose platform has one address for every bot, at which webhooks name the bot they mean."""

    def addressee(self, hook: Hook) -> str | Literal[Whom.EVERYBODY] | HookReply:
        """`Identity.hook_ref` of the bots that `hook` may be for; nothing of it is verified yet.

        The reply itself where the platform only asks whether there is anybody: no link hears of it then.
        """
        ...


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A bot that its platform made for somebody, with what it takes to use it."""

    settings: Mapping[str, str] = field(repr=False)
    identity: Identity


@runtime_checkable
class HandsOver(Protocol):
    """A connector of `OwnBots` whose platform hands a bot over once somebody has agreed there.

    The person's browser is sent to the platform with a `state`; the platform then calls the gateway with that
    state and the bot, unsigned. The core makes states, and lets each be used once, within ten minutes.
    """

    def host(self, asked: Mapping[str, str]) -> str:
        """What a person is asked about: the platform's place that `asked`, the parameters of the browser's
        address, names. Raises `ValidationFailed`."""
        ...

    def send_to(self, asked: Mapping[str, str], state: str, public_url: str) -> str:
        """Where the person's browser goes on."""
        ...

    def state_of(self, hook: Hook) -> str | None:
        """The state that `hook` brings back; None when it is no such call."""
        ...

    def handed_over(self, hook: Hook, asked: Mapping[str, str]) -> HandedOver:
        """Raises `HookRefused` when it is not from the place that was asked."""
        ...

    def refusal(self, code: str) -> str:
        """What a person is told whose browser the platform sends back with this code of its own; "" for one
        that it does not have."""
        ...


@runtime_checkable
class TakesLeave(Protocol):
    """A connector whose platform has something to clear away for a bot that is no longer connected."""

    async def leave(self, settings: Mapping[str, str]) -> None:
        """Tried once; what it raises changes nothing."""
        ...


@runtime_checkable
class AddsToServers(Protocol):
    """A connector whose shared bot people add to servers of theirs."""

    def server_link(self, settings: Mapping[str, str]) -> str:
        """Where who runs a server adds the bot of these settings of the gateway's."""
        ...


class People(Protocol):
    """Whom a link may listen to. Kept by the core; of one connection, or of the shared bot."""

    async def issue(self, scope: Scope) -> str:
        """A token of 43 URL-safe characters that pairs whoever brings it, once, within 15 minutes.

        The one before is void. It belongs into a link such as ``https://t.me/<bot>?start=<token>``.
        """
        ...

    async def redeem(self, token: str, sender: Sender, conversation: ConversationRef) -> Scope | None:
        """Pairs `sender`; None for a token that is unknown, used or expired (told alike, on purpose)."""
        ...

    async def scope_of(self, sender: str) -> Scope | None:
        """On the shared bot: the agent whom this person wrote with last; None for a stranger."""
        ...


@dataclass(frozen=True, slots=True)
class Package:
    """A file to download."""

    name: str
    media_type: str
    body: bytes = field(repr=False)


@runtime_checkable
class Packs(Protocol):
    """A connector whose people install something of a bot's own before they can write to it."""

    @property
    def packs(self) -> str:
        """The last part of its address, ``/download/<packs>``: it is the platform's alone."""
        ...

    def pack(self, settings: Mapping[str, str], bot: Identity | None, public_url: str) -> Package:
        """What belongs to `bot`, one of somebody's own; None: to the shared one. `settings` are those of who
        runs the gateway. Nothing in it is secret: who is to write to a bot gets it from whoever has it."""
        ...
