"""What somebody came in with: when it ends, and how soon that is known."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from chamade_mcp.core.keys import Keys, NewKey
from chamade_mcp.core.standing import LOOK_AGAIN_S, Standing
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import Unauthenticated
from chamade_mcp.model.ids import GrantId, KeyId
from tests.support.house import House
from tests.support.interrupted import Interrupted
from tests.support.waiting import BOUND_S, until


@asynccontextmanager
async def watching(standing: Standing, who: Principal) -> AsyncGenerator[asyncio.Task[Unauthenticated]]:
    task = asyncio.create_task(standing.lost(who))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def holder(owner: Principal, key: NewKey) -> Principal:
    return replace(owner, key=key.id)


def new(house: House) -> Standing:
    standing = Standing(house.database, house.clock)
    house.accounts.keys.on_revoke(standing.revoked)
    return standing


async def pass_time(house: House, looks: int, watchers: int = 1) -> None:
    """So much that each of them has looked so often."""
    for _ in range(looks):
        await until(lambda: house.clock.sleeping == watchers)
        await house.clock.advance(LOOK_AGAIN_S)


async def why(task: asyncio.Task[Unauthenticated]) -> str:
    return (await asyncio.wait_for(task, BOUND_S)).code


async def test_a_revoked_key_is_lost_at_once_and_no_other(house: House) -> None:
    owner, standing = await house.owner(), new(house)
    key, other = [await house.accounts.keys.create(owner.scope, "k") for _ in range(2)]
    async with (
        watching(standing, holder(owner, key)) as first,
        watching(standing, holder(owner, key)) as second,
        watching(standing, holder(owner, other)) as third,
    ):
        await pass_time(house, 10, watchers=3)
        # One that is looking while it is revoked finds only that it is over.
        await until(lambda: house.clock.sleeping == 3)
        await house.accounts.keys.revoke(owner.bounds, key.id)
        assert [await why(first), await why(second)] == ["REVOKED_API_KEY"] * 2
        await pass_time(house, 3)
        assert not third.done()


async def test_an_expired_key_is_lost_soon(house: House) -> None:
    owner, standing = await house.owner(), new(house)
    end = house.clock.now() + timedelta(seconds=4 * LOOK_AGAIN_S - 1)
    key = await house.accounts.keys.create(owner.scope, "k", expires_at=end)
    async with watching(standing, holder(owner, key)) as task:
        await pass_time(house, 3)
        await until(lambda: house.clock.sleeping == 1)
        assert not task.done()
        await house.clock.advance(LOOK_AGAIN_S)
        assert await why(task) == "EXPIRED_API_KEY"


async def test_a_person_who_signs_out_is_lost_soon(house: House) -> None:
    await house.accounts.create("ann@example.org", "correct horse battery", verified=True)
    session = await house.accounts.sign_in("ann@example.org", "correct horse battery")
    ann, standing = await house.accounts.authenticate_session(session), new(house)
    async with watching(standing, ann) as task:
        await pass_time(house, 2)
        await until(lambda: house.clock.sleeping == 1)
        await house.accounts.sign_out(session)
        await house.clock.advance(LOOK_AGAIN_S)
        assert await why(task) == "SESSION_ENDED"


async def test_what_has_ended_before_is_lost_at_once(house: House) -> None:
    owner, standing = await house.owner(), new(house)
    key = await house.accounts.keys.create(owner.scope, "k")
    await house.accounts.keys.revoke(owner.bounds, key.id)
    for gone, code in (
        (holder(owner, key), "EXPIRED_API_KEY"),
        (replace(owner, key=KeyId("key_never")), "EXPIRED_API_KEY"),
        (replace(owner, grant=GrantId("grant_never")), "EXPIRED_ACCESS_TOKEN"),
        (owner, "SESSION_ENDED"),
    ):
        assert (await asyncio.wait_for(standing.lost(gone), BOUND_S)).code == code


async def test_a_revocation_during_the_look_up_counts(house: House, database_path: Path) -> None:
    owner = await house.owner()
    key = await house.accounts.keys.create(owner.scope, "k")
    database = Interrupted(database_path)
    try:
        standing, keys = Standing(database, house.clock), Keys(house.database, house.clock)
        keys.on_revoke(standing.revoked)
        database.meanwhile = partial(keys.revoke, owner.bounds, key.id)
        assert (await asyncio.wait_for(standing.lost(holder(owner, key)), BOUND_S)).code == "REVOKED_API_KEY"
    finally:
        database.close()
