"""What an agent reads first, and what an account can take with it."""

import json

from sqlalchemy import Connection

from chamade_mcp.core import overview as module
from chamade_mcp.core.calls import NewCall
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.store import schema
from tests.support.house import CALL_LIMIT, House
from tests.support.waiting import until

SECRET_WORDS = ("hash", "sha256", "token", "sealed")
NOT_EXPORTED = {
    "repeats",  # answers that were given, for a day, sealed
    "events",  # what they tell stands in calls, messages and transcripts
    "account_links",  # nothing but secrets and dates
    "notices",  # what processes tell each other, for minutes
    "oauth_consents",  # a question on a screen, for ten minutes
    "oauth_families",  # nothing but dates of a grant
    "oauth_codes",  # nothing but secrets and dates
    "oauth_tokens",  # nothing but secrets and dates
}


async def test_whether_the_database_answers(house: House) -> None:
    assert await house.overview.database_answers()
    house.database.close()
    assert not await house.overview.database_answers()


async def test_the_first_look(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    await house.calls.create(owner, NewCall(SCRIPTED))
    told = await house.overview.account(owner)
    assert set(told) == {
        "plan", "features", "features_note", "platforms", "concurrent_calls", "identities",
        "last_message_cursor",
    }  # fmt: skip
    assert told["concurrent_calls"] == {"active": 1, "limit": CALL_LIMIT}
    assert told["last_message_cursor"] == (await house.inbox.snapshot(owner))["last_message_cursor"]
    assert (told["features"]["files"], told["features"]["hosted_tts"]) == ("ready", "byok")
    assert told["platforms"][SCRIPTED]["status"] == "ok"


async def test_an_export_has_everything_but_secrets(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    key = await house.accounts.create_key(owner.scope, "laptop")
    for principal, text in ((owner, "mine"), (other, "not mine")):
        await house.platform.write(principal.scope, text)
    view = await house.calls.create(owner, NewCall(SCRIPTED))
    await until(lambda: house.platform.legs)
    await house.calls.add_transcript(house.engine.find(owner.scope, view.record.id), "Alice", "said")
    exported = await house.overview.export(owner)
    as_text = json.dumps(exported, default=str)
    assert exported["retention"] == dict.fromkeys(
        ("messages_days", "files_days", "transcripts_days", "recordings_days")
    )
    assert '"mine"' in as_text
    assert '"said"' in as_text
    assert '"laptop"' in as_text
    assert "not mine" not in as_text
    assert key.value.rpartition("_")[2] not in as_text


def test_every_owned_table_is_exported_or_named_here() -> None:
    owned = {t.name for t in schema.metadata.tables.values() if "account_id" in t.c}
    exported = {table.name for _, table in module._EXPORTED}  # pyright: ignore[reportPrivateUsage]
    assert owned == exported | NOT_EXPORTED
    secret = module._SECRET_COLUMNS  # pyright: ignore[reportPrivateUsage]
    for _, table in module._EXPORTED:  # pyright: ignore[reportPrivateUsage]
        for column in table.c:
            assert column.name in secret or not any(word in column.name for word in SECRET_WORDS)


async def test_a_call_outlives_a_change_of_the_gateways_key(house: House) -> None:
    owner = await house.owner()
    view = await house.calls.create(owner, NewCall(SCRIPTED))

    def change(conn: Connection) -> None:
        conn.execute(schema.calls.update().values(meeting_url_sealed=b"sealed by another key"))

    await house.database.write(change)
    found = await house.calls.get(owner, view.record.id, 0)
    assert found.record.meeting_url == ""
    await house.engine.start()
