"""API keys."""

import re
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from chamade_mcp.core.keys import Keys, require
from chamade_mcp.model.access import ALL_PERMISSIONS, Permission
from chamade_mcp.model.errors import Forbidden, NotFound, Unauthenticated, ValidationFailed
from chamade_mcp.store.schema import api_keys
from tests.support.house import House
from tests.support.interrupted import Interrupted
from tests.support.requirement import requirement


async def refused(keys: Keys, key: str | None) -> str:
    with pytest.raises(Unauthenticated, match=r"^Invalid or missing API key$") as caught:
        await keys.authenticate(key)
    return caught.value.code


@requirement("R-001", "R-004")
async def test_a_key_is_told_once_and_stored_hashed(house: House) -> None:
    owner = await house.owner()
    key = await house.accounts.create_key(owner.scope, "laptop")
    assert re.fullmatch(r"chmd_[A-Za-z0-9]{10}_[A-Za-z0-9]{32}", key.value)
    assert key.value not in repr(key)
    listed = await house.accounts.list_keys(owner)
    assert [k["name"] for k in listed] == ["laptop"]
    assert set(listed[0]) == {
        "id", "prefix", "name", "agent_id", "agent_name", "permissions", "created_at", "last_used_at",
        "expires_at",
    }  # fmt: skip
    assert key.value.startswith(str(listed[0]["prefix"]))
    secret = key.value.rpartition("_")[2]
    stored = await house.database.read(lambda conn: conn.execute(select(api_keys)).one())
    assert secret not in str(listed)
    assert secret not in str(tuple(stored))
    assert (await house.accounts.authenticate(key.value)).scope == owner.scope


@requirement("R-003")
@pytest.mark.parametrize(
    "key", ["chmd_", "x", "chmd_abcdefghij_short", "chmd_abcdefghij_" + "é" * 32, "chmd_" + "a" * 10_000]
)
async def test_a_malformed_key_is_refused_without_a_look_up(house: House, key: str) -> None:
    house.database.close()
    assert await refused(house.accounts.keys, key) == "INVALID_API_KEY"


@requirement("R-003")
async def test_missing_unknown_and_wrong_keys(house: House) -> None:
    owner, keys = await house.owner(), house.accounts.keys
    key = (await keys.create(owner.scope, "k")).value
    wrong = key[:-1] + ("a" if key[-1] != "a" else "b")
    assert await refused(keys, None) == "MISSING_API_KEY"
    assert await refused(keys, "") == "MISSING_API_KEY"
    assert await refused(keys, wrong) == "INVALID_API_KEY"
    assert await refused(keys, f"chmd_{'a' * 10}_{'b' * 32}") == "INVALID_API_KEY"


@requirement("R-007")
async def test_a_revoked_key_stops_at_once_and_only_its_holder_is_told(house: House) -> None:
    owner, keys = await house.owner(), house.accounts.keys
    new = await keys.create(owner.scope, "k")
    await keys.authenticate(new.value)
    await house.accounts.revoke_key(owner, new.id)
    assert await refused(keys, new.value) == "REVOKED_API_KEY"
    guess = new.value[:-1] + ("a" if new.value[-1] != "a" else "b")
    assert await refused(keys, guess) == "INVALID_API_KEY"
    assert await house.accounts.list_keys(owner) == []
    with pytest.raises(NotFound):
        await house.accounts.revoke_key(owner, new.id)


async def test_a_revocation_during_a_look_up_counts(house: House, database_path: Path) -> None:
    owner = await house.owner()
    new = await house.accounts.keys.create(owner.scope, "k")
    database = Interrupted(database_path)
    try:
        keys = Keys(database, house.clock)
        database.meanwhile = partial(keys.revoke, owner.bounds, new.id)
        await keys.authenticate(new.value)  # was looked up just before
        assert await refused(keys, new.value) == "REVOKED_API_KEY"
    finally:
        database.close()


async def test_another_process_is_believed_for_ten_seconds_at_most(house: House) -> None:
    owner, keys = await house.owner(), house.accounts.keys
    elsewhere = Keys(house.database, house.clock)
    new = await keys.create(owner.scope, "k")
    await keys.authenticate(new.value)
    await elsewhere.revoke(owner.bounds, new.id)
    await house.clock.advance(9.9)
    await keys.authenticate(new.value)
    await house.clock.advance(0.1)
    assert await refused(keys, new.value) == "REVOKED_API_KEY"


async def test_expiry_counts_within_the_time_of_trust(house: House) -> None:
    owner, keys = await house.owner(), house.accounts.keys
    with pytest.raises(ValidationFailed):
        await house.accounts.create_key(owner.scope, "k", expires_at=house.clock.now())
    new = await house.accounts.create_key(
        owner.scope, "k", expires_at=house.clock.now() + timedelta(seconds=5)
    )
    await keys.authenticate(new.value)
    house.clock.jump(5)
    assert await refused(keys, new.value) == "EXPIRED_API_KEY"
    house.clock.jump(-1)
    await keys.authenticate(new.value)


async def test_the_last_use_is_noted_once_a_minute(house: House) -> None:
    owner, keys = await house.owner(), house.accounts.keys
    new = await keys.create(owner.scope, "k")

    async def last_use() -> object:
        await keys.authenticate(new.value)
        return (await keys.list(owner.bounds))[0]["last_used_at"]

    assert (await keys.list(owner.bounds))[0]["last_used_at"] is None
    first = await last_use()
    await house.clock.advance(59)
    assert await last_use() == first
    await house.clock.advance(1)
    assert str(await last_use()) > str(first)


async def test_permissions_travel_with_the_key(house: House) -> None:
    owner, keys = await house.owner(), house.accounts.keys
    reader = await keys.create(owner.scope, "k", permissions=frozenset({Permission.READ}))
    principal = await keys.authenticate(reader.value)
    assert principal.permissions == {Permission.READ}
    require(principal, Permission.READ)
    for permission in ALL_PERMISSIONS - {Permission.READ}:
        with pytest.raises(Forbidden) as caught:
            require(principal, permission)
        assert caught.value.code == "INSUFFICIENT_PERMISSIONS"
    nothing = await keys.create(owner.scope, "none", permissions=frozenset())
    assert (await keys.authenticate(nothing.value)).permissions == frozenset()
    listed = {k["name"]: k["permissions"] for k in await keys.list(owner.bounds)}
    assert listed == {"k": ["read"], "none": []}


async def test_keys_are_their_accounts_own(house: House) -> None:
    mine, other = await house.owner(), await house.owner()
    new = await house.accounts.create_key(mine.scope, "k")
    assert await house.accounts.list_keys(other) == []
    with pytest.raises(NotFound):
        await house.accounts.revoke_key(other, new.id)
    assert (await house.accounts.authenticate(new.value)).account == mine.account


async def test_a_busy_database_is_no_reason_to_refuse_a_valid_key(house: House) -> None:
    owner, keys = await house.owner(), house.accounts.keys
    new = await keys.create(owner.scope, "k")
    await keys.authenticate(new.value)
    await house.clock.advance(5)
    house.database.close()
    assert (await keys.authenticate(new.value)).account == owner.account
