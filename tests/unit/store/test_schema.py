"""Who owns what, and what goes with an account."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Boolean, Column, Connection, Integer, LargeBinary, Table, func, select
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.types import JSON

from chamade_mcp.core.calls import NewCall
from chamade_mcp.core.consents import ConsentRequest, Consents
from chamade_mcp.core.grants import Grants
from chamade_mcp.core.mcp_sessions import key_of
from chamade_mcp.core.repeats import Repeats, Request
from chamade_mcp.core.tokens import Redemption, challenge_of
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.model.access import Principal
from chamade_mcp.store import schema
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import Instant, metadata
from tests.support.house import House

NOBODYS = frozenset({"accounts", "oauth_clients", "join_links"})
"""The owners themselves; programs that registered themselves, for whom nobody has said yes yet; and links for
people who have no account yet, which go with the account that sent them."""
OWNED = [t for t in metadata.sorted_tables if t.name not in NOBODYS]
DIALECT = SQLiteDialect()
MOMENT = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize("table", OWNED, ids=lambda t: t.name)
def test_every_row_has_an_owner_and_goes_with_it(table: Table) -> None:
    (key,) = table.c.account_id.foreign_keys
    assert key.column is schema.accounts.c.id
    assert key.ondelete == "CASCADE"
    assert not table.c.account_id.nullable
    for other in table.foreign_keys:
        assert other.ondelete == "CASCADE"


def value_for(column: Column[Any], account: str) -> object:
    if column.name == "account_id":
        return account
    for key in column.foreign_keys:
        return f"{account} {key.column.table.name}"
    if isinstance(column.type, Instant):
        return MOMENT
    if isinstance(column.type, Boolean):
        return True
    if isinstance(column.type, Integer):
        return 1
    if isinstance(column.type, LargeBinary):
        return b"x"
    return [] if isinstance(column.type, JSON) else f"{account} {column.name}"


def fill(conn: Connection, account: str) -> None:
    """One row in every table."""
    for table in metadata.sorted_tables:
        values = {c.name: value_for(c, account) for c in table.c if c is not table.autoincrement_column}
        if "id" in values:
            values["id"] = account if table.name == "accounts" else f"{account} {table.name}"
        if "invited_by" in values:
            values["invited_by"] = account
        conn.execute(table.insert().values(values))


def rows(conn: Connection) -> dict[str, int]:
    return {t.name: conn.execute(select(func.count()).select_from(t)).scalar_one() for t in OWNED}


async def test_deleting_an_account_leaves_no_row_of_it_and_every_other(database_path: Path) -> None:
    database = Database(database_path)
    try:
        for account in ("one", "two"):
            await database.write(lambda conn, account=account: fill(conn, account))
        assert set((await database.read(rows)).values()) == {2}
        gone = schema.accounts.delete().where(schema.accounts.c.id == "one")
        await database.write(lambda conn: conn.execute(gone).rowcount)
        assert set((await database.read(rows)).values()) == {1}
    finally:
        database.close()


async def sign_in_a_client(house: House, owner: Principal) -> None:
    """Over OAuth, with a session and a question that nobody has answered yet."""
    verifier = "v" * 43
    question = ConsentRequest(
        client_id="client_1",
        client_name="A client",
        client_host="",
        redirect_uri="http://localhost/cb",
        state=None,
        permissions=owner.permissions,
        challenge=challenge_of(verifier),
        refreshes=True,
    )
    await Consents(house.database, house.clock).ask(owner.account, "session", question)
    grants = Grants(house.database, house.clock, key=b"k", audience="https://gw.example/mcp")
    code = await grants.approve(owner, question)
    issued = await grants.redeem(Redemption(code, "client_1", verifier, None))
    client = await grants.authenticate(issued.access_token)
    await house.mcp_sessions.create(
        client, protocol_version="2025-11-25", client_info={}, client_capabilities={}
    )


def point_a_webhook(conn: Connection, owner: Principal) -> None:
    """One endpoint, to which one delivery was tried once."""
    ids = {"webhooks": "whk_1", "webhook_deliveries": "whd_1"}
    for table in (schema.webhooks, schema.webhook_deliveries, schema.webhook_attempts):
        values = {c.name: value_for(c, owner.account) for c in table.c}
        values |= {"id": ids[table.name]} if table.name in ids else {}
        values |= {"webhook_id": "whk_1"} if "webhook_id" in values else {}
        values |= {"delivery_id": "whd_1"} if "delivery_id" in values else {}
        values |= {"agent_id": owner.scope.agent} if "agent_id" in values else {}
        conn.execute(table.insert().values(values))


def connect_a_bot(conn: Connection, owner: Principal) -> None:
    """One connection, by which one person is paired and another may be."""
    for table in (schema.connections, schema.pairings, schema.pairing_tokens):
        values = {c.name: value_for(c, owner.account) for c in table.c} | {"connection_id": "conn_1"}
        values |= {"agent_id": owner.scope.agent} if "agent_id" in table.c else {}
        values |= {"id": "conn_1"} if table is schema.connections else {}
        conn.execute(table.insert().values({name: v for name, v in values.items() if name in table.c}))


def keep_a_recording(conn: Connection, owner: Principal) -> None:
    for table, ids in (
        (schema.recordings, {"id": "rec_1", "agent_id": owner.scope.agent}),
        (schema.recording_tracks, {"id": "trk_1", "recording_id": "rec_1"}),
    ):
        values = {c.name: value_for(c, owner.account) for c in table.c}
        conn.execute(table.insert().values(values | ids))


def keep_a_passkey(conn: Connection, owner: Principal) -> None:
    conn.execute(
        schema.passkeys.insert().values({c.name: value_for(c, owner.account) for c in schema.passkeys.c})
    )


async def test_an_account_that_was_used_leaves_nothing(house: House) -> None:
    account = await house.accounts.create("a@example.org", "a long password", verified=True)
    owner = await house.accounts.authenticate_session(
        await house.accounts.sign_in("a@example.org", "a long password")
    )
    await house.accounts.create_key(owner.scope, "k")
    await house.platform.write(owner.scope, "hello")
    await house.inbox.send(owner, SCRIPTED, "answer")
    (conversation,) = (await house.inbox.snapshot(owner))["conversations"]
    await house.relay.appoint(owner, conversation["conversation_id"])
    call = (await house.calls.create(owner, NewCall(SCRIPTED))).record.id
    live = house.engine.find(owner.scope, call)
    await house.calls.add_transcript(live, "Alice", "said")
    await house.platform.post(owner.scope, live.record.room, "written")
    await house.platform.ring(owner.scope)
    told = await house.files.upload_base64(owner.scope, "QUJD", "a", "text/plain")
    served = await house.files.serve(str(told["url"]).rpartition("/")[2])
    await house.invitations.invite(owner, SCRIPTED, "Bea")
    await sign_in_a_client(house, owner)
    session_id, _ = await house.mcp_sessions.create(owner, "2025-11-25", {}, {})
    await house.mcp_sessions.mail(key_of(session_id), "a verdict")
    await Repeats(house.database, house.clock, house.box).begin(Request(owner.scope, "key", "digest"))
    await house.database.write(lambda conn: point_a_webhook(conn, owner))
    await house.database.write(lambda conn: connect_a_bot(conn, owner))
    await house.database.write(lambda conn: keep_a_recording(conn, owner))
    await house.members.addresses.change(owner, "b@example.org", "a long password")
    await house.members.joining.invite(owner, "c@example.org")
    await house.database.write(lambda conn: keep_a_passkey(conn, owner))
    await house.usage.count_all()
    aside = schema.put_aside.insert().values(
        {c.name: value_for(c, owner.account) for c in schema.put_aside.c}
    )
    await house.database.write(lambda conn: conn.execute(aside).rowcount)
    before = await house.database.read(rows)
    assert all(before.values()), before
    await house.accounts.delete(owner, "a long password")
    assert not any((await house.database.read(rows)).values())
    assert await house.members.joining.invitations(owner) == []
    assert await house.blobs.size(served.id) is None
    assert house.engine.count(account) == 0


@pytest.mark.parametrize(
    "moment",
    [
        MOMENT,
        MOMENT + timedelta(microseconds=1),
        datetime(999, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
        datetime(2026, 11, 20, 1, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_instants_are_kept_and_sort_as_text(moment: datetime) -> None:
    column = Instant()
    stored = column.process_bind_param(moment, DIALECT)
    assert stored is not None
    assert len(stored) == 27
    assert column.process_result_value(stored, DIALECT) == moment
    other = column.process_bind_param(MOMENT, DIALECT)
    assert other is not None
    assert (stored < other, stored == other) == (moment < MOMENT, moment == MOMENT)
