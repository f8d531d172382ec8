"""Files that stay at their platform: fetched when somebody wants them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from chamade_mcp.api.serving import etag_of
from chamade_mcp.core import agent_rows
from chamade_mcp.core.files import RECEIVED_LIFE
from chamade_mcp.core.hot_cache import HOT_LIFE, HotCache, HotCacheDeps
from chamade_mcp.core.retention import Retention
from chamade_mcp.core.roster import Listed
from chamade_mcp.kit.testing_bots import ScriptedBot
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.connections import Access, Standing
from chamade_mcp.model.errors import Gone, NotFound, Unavailable
from chamade_mcp.model.messages import Attachment
from chamade_mcp.store import schema
from tests.support.bots import connected, texts
from tests.support.house import FILE_CAP, FILE_QUOTA, House
from tests.support.requirement import requirement
from tests.support.waiting import until

PNG = b"\x89PNG\r\n\x1a\n" + bytes(500)


def link(house: House, listed: Listed) -> ScriptedBot:
    return house.bots.links[listed.id]


async def once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def keep(house: House, owner: Principal, listed: Listed, ref: str = "file-1") -> Attachment:
    files = link(house, listed).ctx.files
    return await files.keep(owner.scope, ref, name="cat.png", mime="image/png", size_bytes=None)


def token(attachment: Attachment) -> str:
    return attachment.url.rpartition("/")[2]


async def content(house: House, attachment: Attachment) -> bytes:
    served = await house.files.serve(token(attachment))
    return b"".join([chunk async for chunk in house.files.read(served, 0, served.size_bytes)])


def stored(house: House) -> list[str]:
    return [path.name for path in house.files_root.rglob("*") if path.is_file()]


@requirement("R-141", "R-143")
async def test_it_is_fetched_when_wanted_and_kept_for_a_quarter_of_an_hour(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    house.bots.kept["file-1"] = PNG
    attachment = await keep(house, owner, listed)
    assert house.bots.fetched == []
    for _ in range(2):
        assert await content(house, attachment) == PNG
    assert house.bots.fetched == ["file-1"]
    await house.clock.advance(HOT_LIFE.total_seconds() + 1)
    assert await content(house, attachment) == PNG
    assert house.bots.fetched == ["file-1"] * 2
    await house.clock.advance((HOT_LIFE + timedelta(minutes=6)).total_seconds())
    await house.files.sweep()
    assert stored(house) == []
    assert await content(house, attachment) == PNG


@requirement("R-142")
async def test_all_who_want_it_at_once_share_one_fetch(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    house.bots.kept["file-1"] = PNG
    attachment = await keep(house, owner, listed)
    house.bots.hold = asyncio.Event()
    asking = [asyncio.create_task(content(house, attachment)) for _ in range(20)]
    await until(lambda: house.bots.fetched)
    asking.pop().cancel()  # who asked first may leave
    house.bots.hold.set()
    assert set(await asyncio.gather(*asking)) == {PNG}
    assert house.bots.fetched == ["file-1"]


async def test_who_asks_with_an_older_row_starts_no_second_fetch(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    house.bots.kept["file-1"] = PNG
    attachment = await keep(house, owner, listed)
    stale = await house.database.read(lambda conn: conn.execute(select(schema.files)).one())
    await content(house, attachment)
    cache = HotCache(HotCacheDeps(house.database, house.clock, house.blobs, house.supervisor, 10_000))
    assert (await cache.bring(stale)).cached_until is not None
    assert house.bots.fetched == ["file-1"]


async def test_the_same_file_told_again_is_the_same(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    listed = await connected(house, owner)
    first = await keep(house, owner, listed)
    assert await keep(house, owner, listed) == first
    assert await keep(house, other, await connected(house, other, "another")) != first


async def test_a_file_told_again_lasts_from_then_on(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    house.bots.kept["file-1"] = PNG
    first = await keep(house, owner, listed)
    await house.clock.advance((RECEIVED_LIFE - timedelta(days=1)).total_seconds())
    assert await keep(house, owner, listed) == first
    await house.clock.advance(timedelta(days=2).total_seconds())
    assert await content(house, first) == PNG
    retention = Retention(house.database, house.clock, house.inbox.messages_removed)
    await retention.change(owner, {"files_days": 7})
    await retention.sweep()
    assert await content(house, first) == PNG


async def test_a_file_told_again_is_fetched_again(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    house.bots.kept["file-1"] = PNG
    first = await keep(house, owner, listed)
    assert await content(house, first) == PNG
    house.bots.kept["file-1"] = changed = PNG + b"corrected"
    files = link(house, listed).ctx.files
    again = await files.keep(owner.scope, "file-1", name="cat.png", mime="image/png", size_bytes=len(changed))
    assert (again.file_id, again.size_bytes) == (first.file_id, len(changed))
    assert await content(house, first) == changed


async def test_what_changed_at_its_platform_has_another_tag(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    house.bots.kept["file-1"] = PNG
    file = await keep(house, owner, listed)
    tags = [etag_of(await house.files.serve(token(file))) for _ in range(2)]
    house.bots.kept["file-1"] = PNG[::-1]
    await house.clock.advance(HOT_LIFE.total_seconds())
    tags += [etag_of(await house.files.serve(token(file))) for _ in range(2)]
    assert tags[0] == tags[1] != tags[2] == tags[3]


async def test_a_stranger_who_sends_the_same_file_takes_it_from_nobody(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    house.bots.kept |= {"file-1": PNG, "file-2": PNG}
    await house.bots.write(listed.id, "let me in")
    [request] = await house.pairings.page(owner, state=Standing.PENDING)
    await house.pairings.approve(owner, str(request["id"]))
    mine = await keep(house, owner, listed)
    await house.bots.write(listed.id, "look", attachments=(mine,))
    theirs = await keep(house, owner, listed), await keep(house, owner, listed, "file-2")
    await house.bots.write(listed.id, "mine, too", sender="mallory", attachments=theirs)
    assert await texts(house, owner) == ["look"]
    assert await content(house, mine) == PNG
    with pytest.raises(NotFound):
        await content(house, theirs[1])


@requirement("R-140")
async def test_what_the_platform_lost_is_gone_and_what_is_down_is_not(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    attachment = await keep(house, owner, listed)
    with pytest.raises(Gone) as caught:
        await content(house, attachment)
    assert caught.value.code == "FILE_GONE"
    house.bots.kept["file-1"] = PNG
    house.bots.down = True
    with pytest.raises(Unavailable):
        await content(house, attachment)
    house.bots.down = False
    assert await content(house, attachment) == PNG
    await house.connections.remove(owner, listed.id)
    await house.clock.advance(HOT_LIFE.total_seconds() + 1)
    with pytest.raises(Gone):
        await content(house, attachment)


async def test_it_is_gone_after_its_month(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    house.bots.kept["file-1"] = PNG
    attachment = await keep(house, owner, listed)
    assert await content(house, attachment) == PNG
    await house.clock.advance(RECEIVED_LIFE.total_seconds())
    with pytest.raises(Gone):
        await content(house, attachment)
    await house.files.sweep()
    assert stored(house) == []


async def test_one_over_the_cap_is_not_brought(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    house.bots.kept["file-1"] = bytes(FILE_CAP + 1)
    attachment = await keep(house, owner, listed)
    with pytest.raises(Gone, match="larger"):
        await content(house, attachment)
    assert stored(house) == []


async def test_it_does_not_count_against_the_quota(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    for number in range(FILE_QUOTA // FILE_CAP + 1):
        house.bots.kept[f"file-{number}"] = bytes(FILE_CAP)
        assert len(await content(house, await keep(house, owner, listed, f"file-{number}"))) == FILE_CAP
    await house.files.upload_base64(owner.scope, "aGk=", "hi.txt", "text/plain")


@requirement("R-144")
async def test_what_comes_with_a_message_is_fetched_at_once(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner, access=Access.OPEN)
    house.bots.kept["file-1"] = PNG
    attachment = await keep(house, owner, listed)
    await house.bots.write(listed.id, "look", attachments=(attachment,))
    await until(lambda: stored(house))
    assert await content(house, attachment) == PNG
    assert house.bots.fetched == ["file-1"]


async def test_a_connector_reads_what_it_sends(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    house.bots.kept["file-1"] = PNG
    files = link(house, listed).ctx.files
    opened = await files.open(await keep(house, owner, listed))
    assert opened.size_bytes == len(PNG)
    assert b"".join([chunk async for chunk in opened.chunks]) == PNG


async def test_what_came_over_a_connection_goes_with_it(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    house.bots.kept["file-1"] = PNG
    files = link(house, listed).ctx.files
    came = [
        await keep(house, owner, listed),
        await files.save(owner.scope, name="cat.png", mime="image/png", chunks=once(PNG)),
    ]
    own = await house.files.save(owner.scope, name="mine.png", mime="image/png", chunks=once(PNG))
    other = await house.database.write(
        lambda conn: agent_rows.insert(conn, owner.account, "Other", house.clock.now())
    )
    await house.connections.hand_over(listed, Scope(owner.account, other))
    await house.files.forget_agent(owner.scope)
    for file in came:
        assert await content(house, file) == PNG
    with pytest.raises(Gone):
        await content(house, own)
