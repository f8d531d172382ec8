"""The documentation as it is served: every page, every link, every form of it."""

import re
from collections.abc import AsyncGenerator
from urllib.parse import urlsplit

import httpx2
import pytest
import pytest_asyncio

from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import build
from chamade_mcp.kit.registry import described
from chamade_mcp.web.docs.contents import CHAPTERS
from tests.support.html import anchors_of
from tests.support.problems import assert_problem

URL = "https://voice.example.net"
PAGE_LIMIT_BYTES = 100_000
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


# One gateway for all: nothing here changes it.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[httpx2.AsyncClient]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("gateway"), public_url=URL)
    async with build(settings) as gateway:
        transport = httpx2.ASGITransport(gateway.app)
        async with httpx2.AsyncClient(transport=transport, base_url=URL, headers=BROWSER) as reader:
            yield reader


async def pages(reader: httpx2.AsyncClient) -> dict[str, str]:
    """All pages by their path: what the navigation of the first one leads to."""
    first = (await reader.get("/docs")).text
    navigation = re.search(r'<nav id="docs-chapters".*?</nav>', first, re.S)
    assert navigation is not None
    found: dict[str, str] = {}
    for path in anchors_of(navigation[0]).links:
        if path.startswith("/docs"):
            answer = await reader.get(path)
            assert answer.status_code == 200, path
            found[path] = answer.text
    return found


async def test_every_link_leads_somewhere(reader: httpx2.AsyncClient) -> None:
    all_pages = await pages(reader)
    anchors = {path: anchors_of(html) for path, html in all_pages.items()}
    assert len(anchors) > 40
    others = set[str]()
    for path, found in anchors.items():
        assert len(found.ids) == len(set(found.ids)), f"{path} has an anchor twice"
        for link in found.links:
            at = urlsplit(link)
            if at.scheme:
                assert at.scheme in ("https", "http", "cursor", "vscode"), link
                continue
            target = at.path or path
            if target in anchors:
                assert not at.fragment or at.fragment in anchors[target].ids, f"{path}: {link}"
            else:
                others.add(target)
    for target in others:
        answer = await reader.get(target)
        assert answer.status_code in (200, 303), target  # a page of the dashboard asks to sign in


async def test_pages_are_small_and_strict(reader: httpx2.AsyncClient) -> None:
    for path, html in (await pages(reader)).items():
        assert len(html.encode()) < PAGE_LIMIT_BYTES, path
        assert "<script>" not in html
        assert "style=" not in html
        assert html.count("<h1") == 1, path
    answer = await reader.get("/docs")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_address_of_this_gateway_stands_on_every_page(reader: httpx2.AsyncClient) -> None:
    for path in [*await pages(reader), "/llms.txt", "/llms-full.txt"]:
        text = (await reader.get(path)).text
        assert URL in text, path
        assert "gateway.example.org" not in text, path
        assert "$CHAMADE_URL" not in text, path


async def test_every_page_has_a_twin_in_markdown(reader: httpx2.AsyncClient) -> None:
    for path, html in (await pages(reader)).items():
        twin = re.search(r'<link rel="alternate" type="text/markdown" href="([^"]+)">', html)
        assert twin is not None
        text = await reader.get(twin[1])
        assert text.headers["content-type"] == "text/markdown; charset=utf-8"
        assert text.text.startswith("# "), path
        asked = await reader.get(path, headers={"accept": "text/markdown, text/html"})
        assert asked.text == text.text
        assert "Accept" in asked.headers["vary"]
        links: list[str] = re.findall(r"\]\(([^)\s]+)\)", text.text)
        for link in links:
            if link.startswith(URL + "/docs"):
                assert (await reader.get(urlsplit(link).path)).status_code == 200, f"{path}: {link}"
            else:
                assert not link.startswith("/"), f"{path}: {link}"


async def test_language_models_find_all_pages(reader: httpx2.AsyncClient) -> None:
    index = (await reader.get("/llms.txt")).text
    assert index.startswith("# Chamade\n\n> ")
    links = re.findall(r"^- \[[^\]]+\]\(([^)]+)\): \S", index, re.M)
    assert len(links) == len(await pages(reader))
    whole = (await reader.get("/llms-full.txt")).text
    for link in links:
        assert f"{link}\n\n# " in whole


async def test_there_is_a_page_for_each_platform_that_can_be_run_and_no_other(
    reader: httpx2.AsyncClient,
) -> None:
    told = {path.removeprefix("/docs/platforms/") for path in await pages(reader) if "/platforms/" in path}
    runnable = {str(name) for name, manifest in described().items() if manifest.available}
    assert told - {"api"} >= runnable
    missing = set(map(str, described())) - runnable
    for name in missing:
        assert (await reader.get(f"/docs/platforms/{name}")).status_code == 404


async def test_every_operation_is_described_with_a_request(reader: httpx2.AsyncClient) -> None:
    document = (await reader.get("/openapi.json")).json()
    reference = "".join(html for path, html in (await pages(reader)).items() if path.startswith("/docs/api/"))
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert f'id="{operation["operationId"]}"' in reference
            assert f'<b class="{method}">{method.upper()}</b> {path}</code>' in reference


async def test_who_has_a_page_is_not_sent_it_again(reader: httpx2.AsyncClient) -> None:
    page = await reader.get("/docs/inbox")
    again = await reader.get("/docs/inbox", headers={"if-none-match": f'"x", W/{page.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    other = await reader.get("/docs/files", headers={"if-none-match": page.headers["etag"]})
    assert other.status_code == 200
    packed = await reader.get("/docs/inbox", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == page.text
    assert (await reader.head("/docs/inbox")).headers["etag"] == page.headers["etag"]


async def test_what_is_not_there_is_told_so(reader: httpx2.AsyncClient) -> None:
    for path in ("/docs/nothing", "/docs/nothing.md", "/docs/.md", "/docs/inbox.md.md", "/docs/platforms/x"):
        assert (await reader.get(path)).status_code == 404, path
    assert_problem(
        await reader.get("/docs/nothing", headers={"accept": "application/json"}), 404, "NOT_FOUND"
    )
    for path in ("/docs/", "/docs/index", "/docs/index/"):
        led = await reader.get(path)
        assert (led.status_code, led.headers["location"]) == (308, "/docs"), path
    led = await reader.get("/docs.md")
    assert (led.status_code, led.headers["location"]) == (308, "/docs/index.md")
    led = await reader.get("/docs/inbox/")
    assert (led.status_code, led.headers["location"]) == (308, "/docs/inbox")


@pytest.mark.parametrize(
    "path",
    [
        "examples/../chamade_mcp/app/settings.py", "examples/%2e%2e/pyproject.toml", "/etc/passwd",
        "pyproject.toml", "chamade_mcp/app/settings.py", "examples/nothing.py", "examples",
        "examples//hello.py",
    ],
)  # fmt: skip
async def test_files_beside_the_documents_are_the_only_ones(reader: httpx2.AsyncClient, path: str) -> None:
    assert (await reader.get(f"/docs/files/{path}")).status_code == 404


async def test_an_example_is_plain_text(reader: httpx2.AsyncClient) -> None:
    answer = await reader.get("/docs/files/examples/hello.py")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "import asyncio" in answer.text


async def test_addresses_are_given_once() -> None:
    slugs = [entry.slug for chapter in CHAPTERS for entry in chapter.entries]
    assert len(slugs) == len(set(slugs))
    assert [slug for slug in slugs if slug.startswith(("api", "platforms", "files"))] == ["files"]
