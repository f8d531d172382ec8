"""Streams end with the credential that opened them, however that ends, and no sooner."""

from datetime import timedelta
from typing import cast

from sqlalchemy import Connection

from chamade_mcp.core import grant_rows, tokens
from chamade_mcp.core.consents import ConsentRequest
from chamade_mcp.kit.testing import VirtualClock
from chamade_mcp.model.access import ALL_PERMISSIONS, Caller, Principal
from chamade_mcp.sessions.http import Endpoint
from chamade_mcp.store import schema
from tests.support.asgi import ask
from tests.support.mcp_house import McpHouse
from tests.support.session_client import in_session, initialize, listening, pass_time, request
from tests.support.waiting import until

REQUEST = ConsentRequest(
    client_id="client_1",
    client_name="A test",
    client_host="",
    redirect_uri="http://127.0.0.1:7777/callback",
    state=None,
    permissions=ALL_PERMISSIONS,
    challenge="-",
    refreshes=True,
)


async def from_a_browser(world: McpHouse, ada: Caller, *, signed_in_s: float) -> Caller:
    scope, now = ada.principal.scope, world.clock.now()

    def insert(conn: Connection) -> None:
        conn.execute(
            schema.sessions.insert().values(
                token_sha256="ab" * 32,
                id="sign_1",
                account_id=scope.account,
                device="",
                address="",
                created_at=now,
                last_used_at=now,
                confirmed_at=now,
                expires_at=now + timedelta(seconds=signed_in_s),
            )
        )

    await world.database.write(insert)
    return Caller(Principal(scope, ALL_PERMISSIONS, True, browser="ab" * 32), "-")


async def with_tokens(world: McpHouse, ada: Caller) -> Caller:
    """By a grant whose tokens last for a minute."""
    scope, now = ada.principal.scope, world.clock.now()

    def insert(conn: Connection) -> Principal:
        grant = grant_rows.give(conn, scope, REQUEST, now)
        code = tokens.new_token(tokens.CODE)
        tokens.open_family(conn, grant, scope.account, "-", REQUEST, code, now)
        return Principal(scope, ALL_PERMISSIONS, True, grant=grant)

    return Caller(await world.database.write(insert), "-")


async def test_a_browser_that_is_signed_in_keeps_its_stream(
    endpoint: Endpoint, ada: Caller, world: McpHouse
) -> None:
    person = await from_a_browser(world, ada, signed_in_s=3600)
    session = await initialize(endpoint, person)
    async with listening(endpoint, person, session) as got:
        await pass_time(cast(VirtualClock, world.clock), 60)
        assert not got.done


async def test_who_signs_out_has_no_stream_for_long(endpoint: Endpoint, ada: Caller, world: McpHouse) -> None:
    person = await from_a_browser(world, ada, signed_in_s=3600)
    session = await initialize(endpoint, person)
    async with listening(endpoint, person, session) as got:
        await world.database.write(lambda conn: conn.execute(schema.sessions.delete()))
        await pass_time(cast(VirtualClock, world.clock), 14)
        await until(lambda: got.done)


async def test_a_client_whose_tokens_have_run_out_comes_back_to_its_session(
    endpoint: Endpoint, ada: Caller, world: McpHouse
) -> None:
    client = await with_tokens(world, ada)
    session = await initialize(endpoint, client)
    clock = cast(VirtualClock, world.clock)
    async with listening(endpoint, client, session) as got:
        await pass_time(clock, 50)
        assert not got.done
        await pass_time(clock, 24)
        await until(lambda: got.done)
    again = await with_tokens(world, ada)
    assert again.principal == client.principal, "the grant stands"
    assert (await ask(endpoint, again, request("ping"), in_session(session))).status == 200


async def test_a_revoked_grant_ends_its_sessions(endpoint: Endpoint, ada: Caller, world: McpHouse) -> None:
    client = await with_tokens(world, ada)
    session = await initialize(endpoint, client)
    async with listening(endpoint, client, session) as got:
        revoked = schema.oauth_grants.update().values(revoked_at=world.clock.now())
        await world.database.write(lambda conn: conn.execute(revoked))
        await pass_time(cast(VirtualClock, world.clock), 14)
        await until(lambda: got.done)
    assert (await ask(endpoint, client, request("ping"), in_session(session))).status == 404
