"""Files: streamed in under a cap, served by token."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from chamade_mcp.core.files import RECEIVED_LIFE, RESERVED_LIFE, UPLOAD_LIFE
from chamade_mcp.model.errors import Gone, NotAvailable, NotFound, TooLarge, ValidationFailed
from tests.support.house import FILE_CAP, PUBLIC_URL, House
from tests.support.requirement import requirement


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def token_of(url: object) -> str:
    return str(url).rpartition("/")[2]


def kept(house: House) -> list[str]:
    root = house.files._root  # pyright: ignore[reportPrivateUsage]
    return [p.name for p in root.rglob("*") if p.is_file()] if root.exists() else []


@requirement("R-126", "R-127", "R-137", "R-139")
async def test_an_upload_is_served_for_a_day(house: House) -> None:
    owner = await house.owner()
    told = await house.files.upload(owner.scope, "report.pdf", "application/pdf", stream(b"ab", b"", b"c"))
    assert set(told) == {"file_id", "url", "name", "mime", "size", "expires_at"}
    assert str(told["file_id"]).startswith("f_")
    token = token_of(told["url"])
    assert len(token) >= 32
    assert str(told["file_id"]) not in str(told["url"])
    served = await house.files.serve(token)
    assert (served.name, served.mime, served.size_bytes) == ("report.pdf", "application/pdf", 3)
    assert served.path.read_bytes() == b"abc"
    house.clock.jump(UPLOAD_LIFE.total_seconds())
    with pytest.raises(Gone):
        await house.files.serve(token)


@requirement("R-130", "R-131")
async def test_the_first_byte_over_the_cap_ends_it(house: House) -> None:
    owner, taken = await house.owner(), 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 100
            yield b"x" * 100

    with pytest.raises(TooLarge, match=r"^File exceeds max size \(1000 bytes\)$"):
        await house.files.upload(owner.scope, "a", "text/plain", endless())
    assert taken == FILE_CAP + 100
    exact = await house.files.upload(owner.scope, "a", "text/plain", stream(b"x" * FILE_CAP))
    assert exact["size"] == FILE_CAP
    with pytest.raises(TooLarge):
        await house.files.upload(owner.scope, "a", "text/plain", stream(b"x" * FILE_CAP, b"x"))
    assert kept(house) == [exact["file_id"]]


async def test_an_upload_that_breaks_off_leaves_nothing(house: House) -> None:
    owner, begun = await house.owner(), asyncio.Event()

    async def stalls() -> AsyncIterator[bytes]:
        yield b"x"
        begun.set()
        await asyncio.Event().wait()

    uploading = asyncio.create_task(house.files.upload(owner.scope, "a", "text/plain", stalls()))
    await asyncio.wait_for(begun.wait(), 5)
    uploading.cancel()
    await asyncio.gather(uploading, return_exceptions=True)
    assert uploading.cancelled()
    assert kept(house) == []


@requirement("R-133", "R-134", "R-135", "R-136")
async def test_a_reservation_is_used_once_and_soon(house: House) -> None:
    owner = await house.owner()
    used, late = [await house.files.reserve(owner.scope, "a.txt", "text/plain") for _ in range(2)]
    assert str(used["upload_url"]).startswith(f"{PUBLIC_URL}/api/files/u/")
    with pytest.raises(NotFound):
        await house.files.attach(owner.scope, [{"file_id": used["file_id"]}])
    token = token_of(used["upload_url"])
    attempts = await asyncio.gather(
        *(house.files.upload_reserved(token, stream(b"abc")) for _ in range(5)), return_exceptions=True
    )
    told = [a for a in attempts if isinstance(a, dict)]
    assert len(told) == 1
    assert sum(isinstance(a, NotFound) for a in attempts) == 4
    assert (told[0]["file_id"], told[0]["name"], told[0]["size"]) == (used["file_id"], "a.txt", 3)
    house.clock.jump(RESERVED_LIFE.total_seconds())
    with pytest.raises(NotFound):
        await house.files.upload_reserved(token_of(late["upload_url"]), stream(b"abc"))


@requirement("R-124", "R-128", "R-148")
async def test_what_can_be_attached(house: House) -> None:
    owner = await house.owner()
    told = await house.files.upload(owner.scope, "a.txt", "text/plain", stream(b"abc"))
    encoded = base64.b64encode(b"xyz").decode()
    attached = await house.files.attach(
        owner.scope,
        [
            {"file_id": told["file_id"]},
            {"url": told["url"]},
            {"bytes_b64": encoded, "name": "b.txt", "mime": "text/plain"},
            {"file_id": told["file_id"]},
        ],
    )
    assert [a.name for a in attached] == ["a.txt", "a.txt", "b.txt", "a.txt"]
    assert attached[0].to_wire() == {
        "name": "a.txt", "mime": "text/plain", "size": 3, "url": told["url"]
    }  # fmt: skip


async def test_what_cannot_be_attached(house: House) -> None:
    scope = (await house.owner()).scope
    with pytest.raises(ValidationFailed, match="bytes_b64"):
        await house.files.upload_base64(scope, "no base64!", "a", "text/plain")
    with pytest.raises(TooLarge):
        await house.files.upload_base64(scope, "QUJD" * 10_000, "a", "text/plain")
    told = await house.files.upload(scope, "a", "text/plain", stream(b"abc"))
    with pytest.raises(NotFound, match=r"attachments\.1\.file_id"):
        await house.files.attach(scope, [{"file_id": told["file_id"]}, {"file_id": "f_none"}])
    with pytest.raises(NotAvailable):
        await house.files.attach(scope, [{"url": "https://elsewhere.test/a.png"}])


@requirement("R-129")
async def test_another_accounts_file_is_not_there(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    told = await house.files.upload(owner.scope, "a", "text/plain", stream(b"abc"))
    for wanted in ({"file_id": told["file_id"]}, {"url": told["url"]}):
        with pytest.raises(NotFound):
            await house.files.attach(other.scope, [wanted])


@pytest.mark.parametrize(
    ("name", "kept_name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\system.ini", "system.ini"),
        ("..", "file"),
        ("", "file"),
        ("/", "file"),
        (" . hidden . ", "hidden"),
        ("a\r\nSet-Cookie: x", "aSet-Cookie: x"),
        ("evil\u202egnp.exe", "evilgnp.exe"),
        ("half \ud800 pair", "half  pair"),
        ("nul\x00byte", "nulbyte"),
        ("é" * 500, "é" * 200),
        ("été.png", "été.png"),
    ],
)
async def test_hostile_names(house: House, name: str, kept_name: str) -> None:
    told = await house.files.upload((await house.owner()).scope, name, "image/png", stream(b"x"))
    assert told["name"] == kept_name
    served = await house.files.serve(token_of(told["url"]))
    assert served.path.parent.parent == house.files._root  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    ("mime", "kept_mime"),
    [
        ("Text/HTML; charset=utf-8", "text/html"),
        ("text/html\r\nX: y", "application/octet-stream"),
        ("", "application/octet-stream"),
        ("a/b/c", "application/octet-stream"),
    ],
)
async def test_hostile_types(house: House, mime: str, kept_mime: str) -> None:
    told = await house.files.upload((await house.owner()).scope, "a", mime, stream(b"x"))
    assert told["mime"] == kept_mime


@requirement("R-143")
async def test_a_persons_file_is_kept_for_a_month(house: House) -> None:
    owner = await house.owner()
    saved = await house.files.save(owner.scope, name="a.png", mime="image/png", chunks=stream(b"abc"))
    assert timedelta(days=30) == RECEIVED_LIFE
    house.clock.jump(RECEIVED_LIFE.total_seconds() - 1)
    assert await house.files.attach(owner.scope, [{"file_id": saved.file_id}]) == (saved,)
    house.clock.jump(1)
    with pytest.raises(NotFound):
        await house.files.attach(owner.scope, [{"file_id": saved.file_id}])


async def test_the_sweep_takes_what_has_expired_and_nothing_else(house: House) -> None:
    owner = await house.owner()
    old = await house.files.upload(owner.scope, "old", "text/plain", stream(b"abc"))
    await house.files.reserve(owner.scope, "never", "text/plain")
    house.clock.jump(UPLOAD_LIFE.total_seconds() / 2)
    new = await house.files.upload(owner.scope, "new", "text/plain", stream(b"abc"))
    house.clock.jump(UPLOAD_LIFE.total_seconds() / 2)
    assert await house.files.sweep() == 2
    assert await house.files.sweep() == 0
    assert kept(house) == [new["file_id"]]
    with pytest.raises(NotFound):
        await house.files.serve(token_of(old["url"]))


@requirement("R-140")
async def test_bytes_that_are_lost_are_gone(house: House) -> None:
    told = await house.files.upload((await house.owner()).scope, "a", "text/plain", stream(b"x"))
    served = await house.files.serve(token_of(told["url"]))
    served.path.unlink()
    with pytest.raises(Gone):
        await house.files.serve(token_of(told["url"]))
    with pytest.raises(NotFound):
        await house.files.serve("nonsense")
