"""Files: streamed in under a cap, served by token."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from chamade_mcp.core.files import RECEIVED_LIFE, RESERVED_LIFE, UNDER_WAY_LIFE, UPLOAD_LIFE, ServedFile
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import (
    FetchFailed,
    GatewayError,
    Gone,
    InvalidRequest,
    LimitReached,
    NotFound,
    TimedOut,
    TooLarge,
    Unavailable,
    ValidationFailed,
)
from chamade_mcp.store.schema import files
from tests.support.house import FILE_CAP, FILE_QUOTA, PUBLIC_URL, House
from tests.support.requirement import requirement
from tests.support.waiting import BOUND_S


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def token_of(url: object) -> str:
    return str(url).rpartition("/")[2]


def kept(house: House) -> list[str]:
    return [p.name for p in house.files_root.rglob("*") if p.is_file()]


async def rows(house: House) -> list[str]:
    return list(await house.database.read(lambda conn: conn.execute(files.select()).scalars().all()))


async def content(house: House, served: ServedFile) -> bytes:
    return b"".join([chunk async for chunk in house.files.read(served, 0, served.size_bytes)])


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
    assert await content(house, served) == b"abc"
    assert [chunk async for chunk in house.files.read(served, 1, 2)] == [b"b"]
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
    assert kept(house) == await rows(house) == [exact["file_id"]]


async def test_an_upload_that_breaks_off_leaves_nothing(house: House) -> None:
    owner, begun = await house.owner(), asyncio.Event()

    async def stalls() -> AsyncIterator[bytes]:
        yield b"x"
        begun.set()
        await asyncio.Event().wait()

    uploading = asyncio.create_task(house.files.upload(owner.scope, "a", "text/plain", stalls()))
    await asyncio.wait_for(begun.wait(), BOUND_S)
    uploading.cancel()
    await asyncio.gather(uploading, return_exceptions=True)
    assert uploading.cancelled()
    assert (kept(house), await rows(house)) == ([], [])


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
    with pytest.raises(FetchFailed, match=r"attachments\.0\.url: elsewhere.test answers with status 404"):
        await house.files.attach(scope, [{"url": "https://elsewhere.test/a.png"}])


async def test_what_came_with_one_that_cannot_be_attached_is_not_kept(house: House) -> None:
    owner = await house.owner()
    mine = await house.files.upload(owner.scope, "a.txt", "text/plain", stream(b"abc"))
    inline = {"bytes_b64": base64.b64encode(b"x" * 900).decode(), "name": "b.txt", "mime": "text/plain"}
    wanted = [inline, {"file_id": mine["file_id"]}, {"url": mine["url"]}, {"file_id": "f_none"}]
    with pytest.raises(NotFound):
        await house.files.attach(owner.scope, wanted)
    assert await rows(house) == [mine["file_id"]]
    assert (await house.files.space(owner.account))[0] == 3


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
    told = await house.files.upload((await house.owner()).scope, name, "text/plain", stream(b"x"))
    assert told["name"] == kept_name
    assert [path.name for path in house.files_root.glob("*/*")] == [told["file_id"]]


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
    saved = await house.files.save(owner.scope, name="a.pdf", mime="application/pdf", chunks=stream(b"abc"))
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
    await house.files.serve(token_of(told["url"]))
    await house.blobs.delete([str(told["file_id"])])
    with pytest.raises(Gone):
        await house.files.serve(token_of(told["url"]))
    with pytest.raises(NotFound):
        await house.files.serve("nonsense")


# --- quota, crashes, deletion -------------------------------------------------------------------------------


async def fill(house: House, owner: Principal, count: int) -> None:
    for _ in range(count):
        await house.files.upload(owner.scope, "a", "text/plain", stream(b"x" * FILE_CAP))


def quota_told(error: GatewayError) -> bool:
    return error.code == "FILE_QUOTA_EXCEEDED" and "CHAMADE_FILES_QUOTA_MB" in error.detail


async def test_an_account_has_a_quota_and_others_have_theirs(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    await fill(house, owner, FILE_QUOTA // FILE_CAP)
    place = await house.files.reserve(owner.scope, "b", "text/plain")
    for attempt in (
        house.files.upload(owner.scope, "b", "text/plain", stream(b"x")),
        house.files.save(owner.scope, name="b", mime="text/plain", chunks=stream(b"x")),
        house.files.upload_base64(owner.scope, "QUJD", "b", "text/plain"),
        house.files.upload_reserved(token_of(place["upload_url"]), stream(b"x")),
    ):
        with pytest.raises(TooLarge) as refused:
            await attempt
        assert quota_told(refused.value)
    assert len(kept(house)) == len(await rows(house)) == FILE_QUOTA // FILE_CAP
    await fill(house, other, 1)
    house.clock.jump(UPLOAD_LIFE.total_seconds())  # nothing is swept yet: what has expired does not count
    await fill(house, owner, 1)


async def test_the_quota_holds_when_many_come_at_once(house: House) -> None:
    owner = await house.owner()
    await fill(house, owner, FILE_QUOTA // FILE_CAP - 3)
    uploads = [house.files.upload(owner.scope, "a", "text/plain", stream(b"x" * FILE_CAP)) for _ in range(8)]
    ends = await asyncio.gather(*uploads, return_exceptions=True)
    refused = [end for end in ends if isinstance(end, GatewayError)]
    assert len(refused) == 5
    assert all(quota_told(error) for error in refused)
    assert len(kept(house)) == len(await rows(house)) == FILE_QUOTA // FILE_CAP


async def test_what_a_crash_left_goes_after_an_hour(house: House) -> None:
    owner = await house.owner()
    told = await house.files.upload(owner.scope, "a", "text/plain", stream(b"x"))
    folder = house.files_root / "zz"
    folder.mkdir(parents=True)
    old, new = folder / "f_oldzz.part", folder / "f_newzz.part"
    for part, age_s in ((old, UNDER_WAY_LIFE.total_seconds() + 1), (new, 1.0)):
        part.write_bytes(b"half")
        written_at = house.clock.now().timestamp() - age_s
        os.utime(part, (written_at, written_at))
    await house.files.sweep()
    assert sorted(kept(house)) == sorted([str(told["file_id"]), new.name])


async def test_a_disk_that_takes_nothing_is_told(house: House) -> None:
    house.files_root.write_text("no folder")
    owner = await house.owner()
    with pytest.raises(Unavailable):
        await house.files.upload(owner.scope, "a", "text/plain", stream(b"x"))
    assert await rows(house) == []


async def test_a_row_whose_upload_died_goes_with_its_bytes(house: House) -> None:
    owner, begun = await house.owner(), asyncio.Event()

    async def dies() -> AsyncIterator[bytes]:
        begun.set()
        await asyncio.Event().wait()
        yield b""

    uploading = asyncio.create_task(house.files.upload(owner.scope, "a", "text/plain", dies()))
    await asyncio.wait_for(begun.wait(), BOUND_S)
    (row,) = await rows(house)
    await house.blobs.write(row, stream(b"bytes that a crash left without a size"))
    house.clock.jump(UNDER_WAY_LIFE.total_seconds())
    assert await house.files.sweep() == 1
    assert (row in kept(house), await rows(house)) == (False, [])
    uploading.cancel()
    await asyncio.gather(uploading, return_exceptions=True)


async def test_an_upload_that_outlives_its_account_leaves_nothing(house: House) -> None:
    owner, begun, go_on = await house.owner(), asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        begun.set()
        await go_on.wait()

    uploading = asyncio.create_task(house.files.upload(owner.scope, "a", "text/plain", slow()))
    await asyncio.wait_for(begun.wait(), BOUND_S)
    await house.files.remove_all(owner.account)
    await house.database.write(lambda conn: conn.execute(files.delete()))
    go_on.set()
    with pytest.raises(NotFound, match="removed before it was complete"):
        await asyncio.wait_for(uploading, BOUND_S)
    assert kept(house) == []


# --- URLs of other servers ----------------------------------------------------------------------------------

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20


@requirement("R-123", "R-148")
async def test_a_file_of_another_server(house: House) -> None:
    owner = await house.owner()
    url = house.elsewhere.serve("https://pics.test/a%20b.png?w=1", PNG[:5], PNG[5:], content_type="image/png")
    told = await house.files.upload_url(owner.scope, url)
    assert (told["name"], told["mime"], told["size"]) == ("a b.png", "image/png", len(PNG))
    assert await content(house, await house.files.serve(token_of(told["url"]))) == PNG
    (attached,) = await house.files.attach(owner.scope, [{"url": url, "name": "c.png", "mime": "image/gif"}])
    assert (attached.name, attached.mime) == ("c.png", "application/octet-stream")
    assert attached.url.startswith(f"{PUBLIC_URL}/api/files/")


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="report 1.pdf"', "report 1.pdf"),
        ("attachment; filename=plain.pdf; size=3", "plain.pdf"),
        ("inline; filename=\"x.pdf\"; filename*=UTF-8''%C3%A9t%C3%A9.pdf", "été.pdf"),
        ("attachment; filename*=iso-8859-1'fr'%E9t%E9.pdf", "été.pdf"),
        ('attachment; filename="a \\"b\\".pdf"', 'a "b".pdf'),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ("attachment", "path.bin"),
        ("attachment; filename=", "path.bin"),
        ("attachment; notfilename=x", "path.bin"),
    ],
)
async def test_the_name_another_server_gives(house: House, disposition: str, name: str) -> None:
    owner = await house.owner()
    url = house.elsewhere.serve("https://a.test/x/path.bin", b"x", content_disposition=disposition)
    assert (await house.files.upload_url(owner.scope, url))["name"] == name


async def test_names_and_types_that_are_not_told(house: House) -> None:
    scope = (await house.owner()).scope
    told = await house.files.upload_url(scope, house.elsewhere.serve("http://a.test/b.pdf", b"%PDF"))
    assert (told["name"], told["mime"]) == ("b.pdf", "application/pdf")
    told = await house.files.upload_url(scope, house.elsewhere.serve("http://a.test/", b"x"))
    assert (told["name"], told["mime"]) == ("file", "application/octet-stream")


@requirement("R-131")
async def test_another_servers_file_is_cut_at_the_first_byte_over_the_cap(house: House) -> None:
    owner = await house.owner()
    url = house.elsewhere.serve("https://a.test/big", *[b"x" * 100] * 50)
    with pytest.raises(TooLarge, match=r"^File exceeds max size \(1000 bytes\)$"):
        await house.files.upload_url(owner.scope, url)
    assert house.elsewhere.sent_bytes == FILE_CAP + 100
    assert (kept(house), await rows(house)) == ([], [])


@requirement("R-145", "R-146", "R-147")
async def test_what_is_not_fetched_is_told_in_words(house: House) -> None:
    scope = (await house.owner()).scope
    house.elsewhere.names["inside.test"] = ("10.0.0.1",)
    house.elsewhere.names["none.test"] = ()
    house.elsewhere.serve("https://moves.test/a", status=302, location="http://169.254.169.254/")
    house.elsewhere.serve("https://broken.test/a", status=503)
    for url, kind, code, words in (
        ("https://127.0.0.1/a", InvalidRequest, "INVALID_URL", "full domain name"),
        ("https://me:secret@a.test/a", InvalidRequest, "INVALID_URL", "no credentials"),
        ("https://inside.test/a", InvalidRequest, "FETCH_REFUSED", "not on the public Internet"),
        ("https://moves.test/a", InvalidRequest, "FETCH_REFUSED", "redirects"),
        ("https://none.test/a", FetchFailed, "FETCH_FAILED", "cannot be resolved"),
        ("https://broken.test/a", FetchFailed, "FETCH_FAILED", "status 503"),
    ):
        with pytest.raises(kind, match=words) as refused:
            await house.files.upload_url(scope, url)
        assert (refused.value.code, refused.value.detail.startswith("url: ")) == (code, True)
        assert "secret" not in refused.value.detail
    assert (kept(house), await rows(house)) == ([], [])


async def test_a_server_that_does_not_finish(house: House) -> None:
    owner = await house.owner()
    url = house.elsewhere.serve("https://slow.test/a", b"x", stalls=True)
    with pytest.raises(TimedOut, match=r"^url: slow.test did not answer within 0\.05 seconds"):
        await house.files.upload_url(owner.scope, url, timeout_s=0.05)
    assert (kept(house), await rows(house)) == ([], [])


async def test_nobody_makes_the_gateway_fetch_without_end(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    for _ in range(60):
        with pytest.raises(FetchFailed):
            await house.files.upload_url(owner.scope, "https://a.test/none")
    with pytest.raises(LimitReached):
        await house.files.upload_url(owner.scope, "https://a.test/none")
    with pytest.raises(FetchFailed):
        await house.files.upload_url(other.scope, "https://a.test/none")
    await house.clock.advance(60)
    with pytest.raises(FetchFailed):
        await house.files.upload_url(owner.scope, "https://a.test/none")
