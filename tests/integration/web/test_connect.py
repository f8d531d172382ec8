"""The page that connects an agent: what it tells each client is true of this gateway."""

import asyncio
import io
import json
import shlex
import zipfile
from base64 import b64decode
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx2
import pytest
from playwright.async_api import Browser, expect

from chamade_mcp.web.docs.shelf import filled, source_of
from tests.support.desk import DESKTOP, PHONE, desk_in
from tests.support.push_client import INITIALIZE
from tests.support.requirement import requirement
from tests.support.visitors import House
from tests.support.waiting import BOUND_S

expect.set_options(timeout=BOUND_S * 1000)

SNIPPETS = Path(__file__).parents[3] / "chamade_mcp/web/static/snippets.js"
KEY = "chmd_test_key"
MCP_HEADERS = {"accept": "application/json, text/event-stream"}
Ways = dict[str, list[dict[str, Any]]]


async def told(url: str) -> Ways:
    """What the module says of each client, by its id."""
    say = f"console.log(JSON.stringify((await import({str(SNIPPETS)!r})).clients({url!r}, {KEY!r})))"
    node = await asyncio.create_subprocess_exec(
        "node", "--input-type=module", "-e", say, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(BOUND_S):
        out, _ = await node.communicate()
    return {one["id"]: one["ways"] for one in json.loads(out)}


def link(way: dict[str, Any]) -> str:
    (action,) = way["actions"]
    return action["href"]


@pytest.mark.parametrize("url", ["https://voice.example.net:8443", "http://127.0.0.1:8000"])
async def test_every_line_names_this_gateway_and_parses(url: str) -> None:
    ways, bearer = await told(url), f"Authorization: Bearer {KEY}"
    server = {"url": f"{url}/mcp/", "headers": {"Authorization": f"Bearer {KEY}"}}
    polling, push, stdio = ways["claude-code"]
    add = ["claude", "mcp", "add", "--transport", "http", "chamade"]
    assert shlex.split(polling["code"]) == [*add, f"{url}/mcp/", "--header", bearer]
    first, second = push["code"].splitlines()
    assert shlex.split(first) == [*add, f"{url}/mcp/?stateful", "--header", bearer]
    assert second.endswith("server:chamade")
    fetch, by_stdio = map(shlex.split, stdio["code"].splitlines())
    assert fetch[2] == f"{url}/download/chamade-mcp-shim.mjs"
    assert by_stdio[-3:] == ["node", fetch[4], "--stateful"]
    assert {f"CHAMADE_URL={url}", f"CHAMADE_API_KEY={KEY}"} <= set(by_stdio)

    bundle, by_hand = ways["claude-desktop"]
    assert link(bundle) == "/download/chamade.mcpb"
    desktop = json.loads(by_hand["code"])["mcpServers"]["chamade"]
    assert desktop["args"] == ["-y", "mcp-remote", f"{url}/mcp/", "--header", "Authorization:${CHAMADE_AUTH}"]
    assert desktop["env"] == {"CHAMADE_AUTH": f"Bearer {KEY}"}

    click, by_key = ways["cursor"]
    at = urlsplit(link(click))
    assert (at.scheme, at.netloc, at.path) == ("cursor", "anysphere.cursor-deeplink", "/mcp/install")
    query = parse_qs(at.query, strict_parsing=True)
    assert query["name"] == ["chamade"]
    assert json.loads(b64decode(query["config"][0])) == {"url": f"{url}/mcp/"}
    assert json.loads(by_key["code"]) == {"mcpServers": {"chamade": server}}

    click, by_key = ways["vs-code"]
    scheme, _, asked = link(click).partition("?")
    assert scheme == "vscode:mcp/install"
    assert json.loads(unquote(asked)) == {"name": "chamade", "type": "http", "url": f"{url}/mcp/"}
    assert json.loads(shlex.split(by_key["code"])[2]) == {"name": "chamade", "type": "http", **server}

    for cloud in ("claude-ai", "chatgpt"):
        (way,) = ways[cloud]
        assert way["code"] == f"{url}/mcp/"
    links = [action["href"] for each in ways.values() for way in each for action in way.get("actions", [])]
    assert not [href for href in links if KEY in href]


async def test_the_documents_say_the_same() -> None:
    url = "https://voice.example.net"
    text = source_of("docs/clients.md")
    assert text is not None
    page = filled(text, url).replace("chmd_...", KEY)
    ways = await told(url)
    for way in ways["claude-code"]:
        assert way["code"] in page
    for cloud in ("claude-ai", "chatgpt"):
        for step in ways[cloud][0]["steps"]:
            assert step in page


@pytest.mark.parametrize(
    ("url", "works"),
    [
        ("https://voice.example.org", True),
        ("https://8.8.8.8", True),
        ("http://voice.example.org", False),
        ("https://localhost:8000", False),
        ("https://127.0.0.1", False),
        ("https://[::1]:8000", False),
        ("https://192.168.1.4", False),
        ("https://172.20.0.4", False),
        ("https://[fd00::1]", False),
        ("https://nas.local", False),
        ("https://chamade", False),
    ],
)
async def test_it_says_where_clouds_cannot_reach(url: str, works: bool) -> None:
    ways = await told(url)
    for cloud, whose in (("claude-ai", "Anthropic"), ("chatgpt", "OpenAI")):
        (way,) = ways[cloud]
        assert (way["warning"] == "") is works
        assert works or (url in way["warning"] and whose in way["warning"])


async def test_what_is_downloaded_is_anybodys_and_holds_no_key(house: House) -> None:
    async with httpx2.AsyncClient(base_url=house.url) as nobody:
        packed = await nobody.get("/download/chamade.mcpb")
        shim = await nobody.get("/download/chamade-mcp-shim.mjs")
    assert "chamade.mcpb" in packed.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert archive.read(manifest["server"]["entry_point"]) == shim.content
    asked = manifest["user_config"]
    assert asked["url"]["default"] == house.url
    assert (asked["api_key"]["sensitive"], asked["api_key"]["required"]) == (True, True)
    assert "default" not in asked["api_key"]
    assert shim.headers["content-type"].startswith("text/javascript")


@requirement("R-242")
async def test_a_newcomer_connects_an_agent_and_it_answers(mute_browser: Browser, house: House) -> None:
    desk = await desk_in(mute_browser, house, viewport=DESKTOP)
    page, found = desk.page, list[str]()
    await desk.open("/connect")
    await expect(page.locator("#near")).to_contain_text("on the computer that it runs on")
    assert "YOUR_KEY" in await desk.text_of("#code-0")
    await page.click("#create")
    assert await page.input_value("#key-name") == "Claude Code"
    await page.click("#key-form [type=submit]")
    await expect(page.locator("#fresh-key")).to_be_focused()
    key = await page.input_value("#fresh-key")
    await expect(page.locator("#seen")).to_have_text("Waiting for the first request with your new key")
    assert key in await desk.text_of("#code-0")
    await page.focus("[role=tab][aria-selected=true]")
    for name in ("Claude Desktop", "Cursor", "VS Code", "claude.ai", "ChatGPT", "REST"):
        await page.keyboard.press("ArrowRight")
        await expect(page.get_by_role("tab", name=name)).to_be_focused()
        found += await desk.violations(name)
    curl = shlex.split(await desk.text_of("#code-0"))
    await page.get_by_role("tab", name="ChatGPT").click()
    await expect(page.locator("#panel .note")).to_contain_text(f"it is at {house.url}")
    await page.get_by_role("tab", name="Claude Desktop").click()
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="Download the bundle").click()
    assert (await coming.value).suggested_filename == "chamade.mcpb"

    name, _, value = curl[2].partition(": ")
    async with httpx2.AsyncClient(base_url=house.url, headers={name: value} | MCP_HEADERS) as agent:
        account = (await agent.get(curl[3])).json()
        assert (await agent.post("/mcp/", json=INITIALIZE)).status_code == 200
        await expect(page.locator("#seen")).to_have_text("Claude Code was used just now")
        listening = {"last_message_cursor": account["last_message_cursor"], "wait": 55}
        polling = asyncio.create_task(agent.get("/api/inbox", params=listening))
        await page.click("#ping")
        await expect(page.locator("#ping-note")).to_contain_text("Agents have 30 seconds")
        assert (await polling).json()["conversations"][0]["remote_name"] == "Chamade Dashboard"
        await agent.post("/api/dm/chat", json={"platform": "chamade_probe", "text": "ok"})
    answered = page.locator("#verdicts li", has_text="Claude Code")
    await expect(answered).to_contain_text("Answered after")
    await page.set_viewport_size(PHONE)
    found += await desk.violations("on a phone")
    assert (found, desk.complaints) == ([], [])
