"""The pages behind a link, in process: what they say, and how tightly they are closed."""

import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from html.parser import HTMLParser

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from chamade_mcp.kit.connector import Invite, InviteKind
from chamade_mcp.model.access import Scope
from chamade_mcp.model.ids import AccountId, AgentId
from chamade_mcp.web.rooms import room_routes

SCOPE = Scope(AccountId("acct_1"), AgentId("agent_1"))
EXPIRES = datetime(2026, 12, 1, tzinfo=UTC)


class Doors:
    """Links as the core keeps them, in a dictionary."""

    def __init__(self) -> None:
        self.open: dict[str, Invite] = {}

    def add(
        self, token: str, kind: InviteKind, title: str = "Design review", agent_name: str = "Ada"
    ) -> None:
        self.open[token] = Invite(SCOPE, kind, "ref_1", title, agent_name, EXPIRES)

    async def issue(
        self, scope: Scope, kind: InviteKind, *, title: str, agent_name: str
    ) -> tuple[str, Invite]:
        raise AssertionError("a page makes no links")

    async def admit(self, token: str) -> Invite | None:
        return self.open.get(token)

    def watch(self, token: str) -> AbstractAsyncContextManager[Awaitable[None]]:
        raise AssertionError("a page is not told what becomes of the link; its socket is")


class Outline(HTMLParser):
    """Tags with their attributes, and the text between."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def first(self, tag: str) -> dict[str, str | None]:
        return next(attrs for name, attrs in self.tags if name == tag)

    def sources(self) -> list[str]:
        return [
            value
            for tag, attrs in self.tags
            for name in ("src", "href")
            if (value := attrs.get(name)) and tag in ("script", "link", "img")
        ]


@pytest.fixture
def doors() -> Doors:
    doors = Doors()
    doors.add("room1", InviteKind.ROOM)
    doors.add("chat1", InviteKind.CHAT)
    return doors


@pytest.fixture
async def client(doors: Doors) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(Starlette(routes=room_routes(doors)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


async def test_a_room_link_opens_the_room(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/r/room1")

    page = Outline(answer.text)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert page.first("body")["data-live"] == "/live/web/room1"
    assert "Design review" in page.text
    assert "A call with Ada, an AI agent" in page.text


async def test_a_chat_link_opens_the_chat(client: httpx2.AsyncClient) -> None:
    page = Outline((await client.get("/c/chat1")).text)

    body = page.first("body")
    assert (body["data-live"], body["data-agent"]) == ("/live/web/chat1", "Ada")
    assert "A private chat with Ada, an AI agent" in page.text


@pytest.mark.parametrize("path", ["/r/unknown", "/c/unknown", "/r/chat1", "/c/room1"])
async def test_a_link_that_opens_nothing_says_what_to_do(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    text = Outline(answer.text).text
    assert answer.status_code == 404
    assert "This link no longer works" in text
    assert "Ask the person who sent it for a new link" in text
    assert "Design review" not in text


async def test_asking_does_not_use_a_link_up(client: httpx2.AsyncClient) -> None:
    statuses = [(await client.request(method, "/r/room1")).status_code for method in ("HEAD", "GET", "GET")]
    assert statuses == [200, 200, 200]


@pytest.mark.parametrize("path", ["/r/room1", "/c/chat1", "/r/unknown"])
async def test_a_page_keeps_its_link_to_itself(client: httpx2.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers

    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-robots-tag"] == "noindex"
    assert "microphone=(self)" in headers["permissions-policy"]
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"


@pytest.mark.parametrize("path", ["/r/room1", "/c/chat1", "/r/unknown"])
async def test_a_page_holds_to_its_own_policy(client: httpx2.AsyncClient, path: str) -> None:
    """Nothing inline, nothing foreign: the policy would refuse it, and the page would be broken."""
    html = (await client.get(path)).text
    page = Outline(html)

    assert not re.search(r"<style|\sstyle=|\son\w+=", html)
    assert all(attrs.get("src") for tag, attrs in page.tags if tag == "script")
    assert page.sources()
    for source in page.sources():
        assert source.startswith("/static/")
        assert (await client.get(source)).status_code == 200


async def test_every_id_a_script_asks_for_is_on_its_page(client: httpx2.AsyncClient) -> None:
    for path, entry in (("/r/room1", "room.js"), ("/c/chat1", "chat.js")):
        page = Outline((await client.get(path)).text)
        ids = {attrs["id"] for _, attrs in page.tags if attrs.get("id")}
        source = next(source for source in page.sources() if source.endswith(entry))
        waiting, seen = [entry], set[str]()
        while waiting:
            name = waiting.pop()
            seen.add(name)
            script = (await client.get(source.replace(entry, name))).text
            assert set(re.findall(r'\$\("([\w-]+)"\)', script)) <= ids, name
            assert set(re.findall(r'icon\("([\w-]+)"\)', script)) <= {i.removeprefix("i-") for i in ids if i}
            waiting += [other for other in re.findall(r'from "\./([\w-]+\.js)"', script) if other not in seen]


async def test_names_are_text_whatever_they_hold(client: httpx2.AsyncClient, doors: Doors) -> None:
    doors.add("evil", InviteKind.ROOM, '<script>alert("t")</script>', '"><img src=x onerror=alert(1)>')
    doors.add("evil-chat", InviteKind.CHAT, "x", '"><img src=x onerror=alert(1)>')
    for path in ("/r/evil", "/c/evil-chat"):
        page = Outline((await client.get(path)).text)
        assert not [attrs for tag, attrs in page.tags if tag == "img"]
        assert all(
            (attrs.get("src") or "").startswith("/static/") for tag, attrs in page.tags if tag == "script"
        )


async def test_an_agent_without_a_name_is_not_called_agent_twice(
    client: httpx2.AsyncClient, doors: Doors
) -> None:
    doors.add("plain", InviteKind.ROOM, " ", "AI Agent")
    page = Outline((await client.get("/r/plain")).text)
    assert "A call with an AI agent." in page.text
    assert "Room" in page.text


async def test_below_a_prefix_every_address_has_it(doors: Doors) -> None:
    app = Starlette(routes=[Mount("/talk", routes=room_routes(doors))])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://gateway") as client:
        page = Outline((await client.get("/talk/r/room1")).text)
        assert page.first("body")["data-live"] == "/talk/live/web/room1"
        for source in page.sources():
            assert source.startswith("/talk/static/")
            assert (await client.get(source)).status_code == 200


async def test_a_token_is_quoted_into_the_socket_address(client: httpx2.AsyncClient, doors: Doors) -> None:
    doors.add('a"b?c', InviteKind.ROOM)
    page = Outline((await client.get("/r/a%22b%3Fc")).text)
    assert page.first("body")["data-live"] == "/live/web/a%22b%3Fc"
