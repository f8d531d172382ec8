"""What people have allowed OAuth clients: granted, shown as access tokens, listed, revoked."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, update

from chamade_mcp.core import clients, grant_rows, tokens
from chamade_mcp.core.bounds import inside
from chamade_mcp.core.consents import ConsentRequest
from chamade_mcp.core.tokens import Issued, Redemption, Successors, TokenRefused
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.waiting import to_the_end
from chamade_mcp.model.access import Bounds, Permission, Principal, Scope
from chamade_mcp.model.errors import NotFound, Unauthenticated, Unavailable
from chamade_mcp.model.ids import AccountId, AgentId, GrantId
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import oauth_grants

log = logging.getLogger(__name__)
audit = logging.getLogger("chamade_mcp.audit")

OnRevoke = Callable[[GrantId], Awaitable[None]]
_TRUST_S = 10.0
"""Seconds a token is believed without a look-up: the longest that one revoked elsewhere still works."""
_USED_EVERY_S = 60.0
_KNOWN_AT_MOST = 5_000
_REFUSED = "The access token is invalid, expired or revoked"


@dataclass(slots=True)
class _Known:
    principal: Principal
    expires_at: datetime
    trusted_until: float


class Grants:
    """`key` makes successors of refresh tokens; `audience` is the resource that tokens are for (RFC 8707)."""

    def __init__(self, database: Database, clock: Clock, *, key: bytes, audience: str) -> None:
        self._database = database
        self._clock = clock
        self._successors = Successors(key)
        self._audience = audience
        self._known: dict[str, _Known] = {}
        self._used: dict[GrantId, float] = {}
        self._forgotten = 0
        self._ending: list[OnRevoke] = []

    # --- given ------------------------------------------------------------------------------------------

    async def covers(self, principal: Principal, request: ConsentRequest) -> bool:
        """Whether the same was allowed to the same client before."""
        row = await self._database.read(
            partial(grant_rows.standing, scope=principal.scope, client_id=request.client_id)
        )
        return row is not None and request.permissions <= tokens.to_permissions(row.permissions)

    async def known(self, client_id: str) -> bool:
        """Whether anybody here has ever said yes to that client."""
        return await self._database.read(partial(grant_rows.known, client_id=client_id))

    async def approve(self, principal: Principal, request: ConsentRequest) -> str:
        """The person said yes: gives the authorization code."""
        code, now, scope = tokens.new_token(tokens.CODE), self._clock.now(), principal.scope

        def insert(conn: Connection) -> GrantId:
            tokens.sweep(conn, now)
            clients.note_use(conn, request.client_id, now)
            grant = grant_rows.give(conn, scope, request, now)
            tokens.open_family(conn, grant, scope.account, self._audience, request, code, now)
            return grant

        grant = await self._database.write(insert)
        audit.info(
            "consent: %s of %s lets client %s (%r) do %s, as %s",
            scope.agent,
            scope.account,
            request.client_id,
            request.client_name,
            tokens.to_text(request.permissions),
            grant,
        )
        return code

    def refuse(self, principal: Principal, request: ConsentRequest) -> None:
        audit.info(
            "consent refused: %s, client %s (%r)", principal.account, request.client_id, request.client_name
        )

    # --- exchanged --------------------------------------------------------------------------------------

    async def redeem(self, asked: Redemption) -> Issued:
        """Tokens for a code. Raises `TokenRefused`."""
        if not tokens.has_shape(asked.code, tokens.CODE):
            raise TokenRefused("invalid_grant", "the code is wrong, used or expired")
        issued = await self._settle(partial(tokens.redeem, asked=asked, now=self._clock.now()))
        audit.info("tokens issued: %s, client %s", issued.grant, asked.client_id)
        return issued

    async def renew(self, refresh_token: str, client_id: str, wanted: frozenset[Permission] | None) -> Issued:
        """Tokens for a refresh token; `wanted` may be less than was granted. Raises `TokenRefused`."""
        if not tokens.has_shape(refresh_token, tokens.REFRESH):
            raise TokenRefused("invalid_grant", "the refresh token is wrong, revoked or expired")
        now = self._clock.now()

        def exchange(conn: Connection) -> Issued | TokenRefused:
            result = tokens.renew(conn, refresh_token, client_id, wanted, self._successors, now)
            if isinstance(result, Issued):
                clients.note_use(conn, client_id, now)
                tokens.sweep(conn, now)
            return result

        return await self._settle(exchange)

    async def revoke_token(self, token: str, client_id: str) -> None:
        """RFC 7009: nothing happens for an unknown token. Raises `TokenRefused` for another client's."""
        if not tokens.has_shape(token, tokens.ACCESS, tokens.REFRESH):
            return
        now = self._clock.now()
        ended = await self._database.write(partial(tokens.revoke, token=token, client_id=client_id, now=now))
        self.forget()
        if ended is not None:
            audit.info("signed out: %s, by client %s", ended, client_id)
            await to_the_end(self._end_if_over(ended))

    async def _settle(self, exchange: Callable[[Connection], Issued | TokenRefused]) -> Issued:
        # A refusal is a result, not an exception: what it ended has to be committed.
        result = await self._database.write(exchange)
        if isinstance(result, Issued):
            return result
        if result.family_ended is not None:
            audit.warning("replay: a used code or refresh token of %s came again", result.family_ended)
            self.forget()
            await to_the_end(self._end_if_over(result.family_ended))
        raise result

    # --- shown ------------------------------------------------------------------------------------------

    async def authenticate(self, token: str) -> Principal:
        """Who holds the access token. Raises `Unauthenticated`."""
        known = self._known.get(token)
        if known is None or self._clock.monotonic() >= known.trusted_until:
            known = await self._look_up(token)
        if self._clock.now() >= known.expires_at:
            self._known.pop(token, None)
            raise Unauthenticated(_REFUSED, code="EXPIRED_ACCESS_TOKEN")
        await self._note_use(known.principal.grant)
        return known.principal

    async def _look_up(self, token: str) -> _Known:
        invalid = Unauthenticated(_REFUSED, code="INVALID_ACCESS_TOKEN")
        if not tokens.has_shape(token, tokens.ACCESS):
            raise invalid
        forgotten = self._forgotten
        row = await self._database.read(partial(grant_rows.authenticated, token=token))
        if row is None:
            raise invalid
        found, verified = row
        if found.kind != tokens.ACCESS or found.audience != self._audience:
            raise invalid
        if any((found.revoked_at, found.family_revoked_at, found.grant_revoked_at)):
            self._known.pop(token, None)
            raise Unauthenticated(_REFUSED, code="REVOKED_ACCESS_TOKEN")
        principal = Principal(
            Scope(AccountId(found.account_id), AgentId(found.agent_id)),
            tokens.to_permissions(found.permissions),
            verified,
            grant=GrantId(found.grant_id),
        )
        known = _Known(principal, found.expires_at, self._clock.monotonic() + _TRUST_S)
        # A revocation during the look-up may be missing from what was read: then nothing is remembered.
        if forgotten == self._forgotten:
            if len(self._known) >= _KNOWN_AT_MOST:
                self._known.clear()
            self._known[token] = known
        return known

    async def _note_use(self, grant: GrantId | None) -> None:
        if grant is None or self._clock.monotonic() - self._used.get(grant, float("-inf")) < _USED_EVERY_S:
            return
        self._used[grant], now = self._clock.monotonic(), self._clock.now()

        def stamp(conn: Connection) -> None:
            conn.execute(update(oauth_grants).where(oauth_grants.c.id == grant).values(last_used_at=now))

        try:
            await self._database.write(stamp)
        except Unavailable as error:
            log.warning("the use of %s was not noted: %s", grant, error)  # no reason to refuse a valid token

    # --- listed, revoked --------------------------------------------------------------------------------

    async def list(self, bounds: Bounds) -> list[dict[str, object]]:
        """What works now, the newest first."""
        return await self._database.read(partial(grant_rows.living, bounds=bounds, now=self._clock.now()))

    def on_revoke(self, end: OnRevoke) -> None:
        """`end(grant)` is awaited after its last token has died before its time."""
        self._ending.append(end)

    async def revoke(self, bounds: Bounds, grant: str) -> None:
        """Ends every token at once, then what lives by it. Raises `NotFound`."""
        if not await to_the_end(self._revoke(bounds, GrantId(grant))):
            raise NotFound("Grant not found", code="GRANT_NOT_FOUND")

    async def revoke_all(self, account: AccountId) -> None:
        await to_the_end(self._revoke(Bounds(account, None), None))

    async def revoke_of(self, scope: Scope) -> None:
        """The agent goes."""
        await to_the_end(self._revoke(Bounds(scope.account, scope.agent), None))

    async def _revoke(self, bounds: Bounds, grant: GrantId | None) -> int:
        now = self._clock.now()

        def stamp(conn: Connection) -> list[GrantId]:
            alive = inside(oauth_grants, bounds) & oauth_grants.c.revoked_at.is_(None)
            which = alive if grant is None else alive & (oauth_grants.c.id == grant)
            query = update(oauth_grants).where(which).values(revoked_at=now).returning(oauth_grants.c.id)
            return [GrantId(one) for one in conn.execute(query).scalars()]

        revoked = await self._database.write(stamp)
        self.forget()
        for one in revoked:
            audit.info("grant revoked: %s of %s", one, bounds.account)
            await self._end(one)
        return len(revoked)

    async def _end_if_over(self, grant: GrantId) -> None:
        """A client may have signed in twice: then it goes on with the other tokens."""
        now = self._clock.now()
        if not await self._database.read(partial(grant_rows.has_living_family, grant=grant, now=now)):
            await self._end(grant)

    async def _end(self, grant: GrantId) -> None:
        self._used.pop(grant, None)
        for end in self._ending:
            try:
                await end(grant)
            except Exception:
                log.exception("not everything of %s could be ended", grant)

    def forget(self) -> None:
        """Every token is looked up anew."""
        self._forgotten += 1
        self._known.clear()
