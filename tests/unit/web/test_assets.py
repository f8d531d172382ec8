"""Static files: addressed by content, unchangeable once addressed."""

import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette

from chamade_mcp.web.assets import STATIC, Assets

PAGE_BYTES = 100_000


@pytest.fixture
def assets() -> Assets:
    return Assets.load()


@pytest.fixture
async def client(assets: Assets) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(Starlette(routes=[assets.route()]))
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


async def test_a_file_of_this_version_is_kept_for_ever(assets: Assets, client: httpx2.AsyncClient) -> None:
    answer = await client.get(assets.path("room.js"))

    assert answer.status_code == 200
    assert answer.text == (STATIC / "room.js").read_text()
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_page_of_an_older_version_gets_todays_file_uncached(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/static/000000000000/room.css")

    assert answer.text == (STATIC / "room.css").read_text()
    assert answer.headers["cache-control"] == "no-cache"


async def test_compresses_only_for_who_asked(assets: Assets, client: httpx2.AsyncClient) -> None:
    plain = await client.get(assets.path("room.js"), headers={"accept-encoding": "identity"})
    packed = await client.get(assets.path("room.js"), headers={"accept-encoding": "br, gzip"})

    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "path",
    [
        "/static/x/none.js",
        "/static/x/",
        "/static/x/%2e%2e/rooms.py",
        "/static/x/..%2frooms.py",
    ],
)
async def test_only_known_names_are_served(client: httpx2.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


def test_the_version_follows_the_content(tmp_path: Path) -> None:
    file = tmp_path / "sub" / "a.css"
    file.parent.mkdir()
    file.write_text("a{}")
    first = Assets.load(tmp_path)
    file.write_text("b{}")
    second = Assets.load(tmp_path)

    assert first.path("sub/a.css") == f"/static/{first.version}/sub/a.css"
    assert first.version != second.version


def test_an_unknown_name_fails_while_the_page_is_made(assets: Assets) -> None:
    with pytest.raises(KeyError):
        assets.path("nothing.css")


def test_a_file_of_unknown_type_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "font.woff2").write_bytes(b"")
    with pytest.raises(ValueError, match=r"font\.woff2"):
        Assets.load(tmp_path)


@pytest.mark.parametrize(("entry", "styles"), [("room.js", ["room.css"]), ("chat.js", ["chat.css"])])
def test_a_page_stays_light(entry: str, styles: list[str]) -> None:
    files = {"tokens.css", "live.css", "mark.svg", *styles}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        files.add(name)
        imported = re.findall(r'(?:from|here\(|URL\()\s?"(?:\./)?([\w-]+\.js)"', (STATIC / name).read_text())
        waiting += [other for other in imported if other not in files]

    assert sum((STATIC / name).stat().st_size for name in files) < PAGE_BYTES
    assert sum(len(gzip.compress((STATIC / name).read_bytes())) for name in files) < PAGE_BYTES / 2


def test_no_file_reaches_out_or_brings_markup_to_life() -> None:
    for file in [*STATIC.glob("*.js"), *STATIC.glob("*.css")]:
        text = file.read_text()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text
        ), file
        assert not re.search(r"@import|url\(\s*['\"]?(https?:)?//", text), file
