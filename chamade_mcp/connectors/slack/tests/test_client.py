"""Slack's answers, told as ours; and where its token is never sent."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
import pytest

from chamade_mcp.connectors.slack.client import WebApi
from chamade_mcp.connectors.slack.names import Names
from chamade_mcp.kit.clock import SystemClock
from chamade_mcp.kit.connector import AuthNeeded, Content, PlatformUnavailable
from chamade_mcp.kit.http import Unanswered
from chamade_mcp.kit.rates import Rates
from chamade_mcp.model.errors import Gone, PlatformRefused

BASE = "https://slack.com/api"


class Slack:
    """Answers each method with what it is given; knows who was asked what."""

    def __init__(self, answers: Mapping[str, Any], status: int = 200, **headers: str) -> None:
        self.asked: list[httpx2.Request] = []
        self._answers = answers
        self._status = status
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def api(self) -> WebApi:
        http = httpx2.AsyncClient(base_url=BASE, transport=httpx2.MockTransport(self._answer))
        return WebApi(http, "xoxb-1", Rates(SystemClock()))

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        told = self._answers.get(request.url.path.rpartition("/")[2], b"not JSON")
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        return httpx2.Response(self._status, content=body, headers=self._headers)


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (200, {"ok": False, "error": "invalid_auth"}, AuthNeeded, "invalid_auth"),
        (200, {"ok": False, "error": "account_inactive"}, AuthNeeded, "account_inactive"),
        (
            200,
            {"ok": False, "error": "is_archived"},
            PlatformRefused,
            "The channel is archived (is_archived)",
        ),
        (200, {"ok": False, "error": "new_word"}, PlatformRefused, "new_word"),
        (200, {"ok": False, "error": "missing_scope", "needed": "x:y"}, PlatformRefused, "scope x:y"),
        (200, {"ok": False, "error": "service_unavailable"}, PlatformUnavailable, "service_unavailable"),
        (200, {"ok": False, "error": "fatal_error"}, Unanswered, "fatal_error"),
        (500, {"ok": False, "error": "internal_error"}, Unanswered, "internal_error"),
        (504, b"<html>", Unanswered, "unknown_error"),
        (502, b"<html>", PlatformUnavailable, "status 502"),
        (200, [], PlatformUnavailable, "not in JSON"),
        (200, {}, PlatformUnavailable, "not in JSON"),
    ],
)
async def test_errors(status: int, body: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as caught:
        await Slack({"chat.update": body}, status).api().call("chat.update")
    assert words in str(caught.value)


async def test_it_is_told_when_to_come_again_and_does_not_ask_before() -> None:
    slack = Slack({"chat.postMessage": {"ok": False, "error": "ratelimited"}}, 429, retry_after="17")
    api = slack.api()
    for _ in range(2):
        with pytest.raises(PlatformUnavailable) as caught:
            await api.call("chat.postMessage", channel="C1")
        assert 16 < (caught.value.retry_after or 0) <= 17
    assert len(slack.asked) == 1
    with pytest.raises(PlatformUnavailable):  # another channel is not held
        await api.call("chat.postMessage", channel="C2")
    assert len(slack.asked) == 2


async def test_what_is_as_good_as_done() -> None:
    slack = Slack({"reactions.add": {"ok": False, "error": "already_reacted"}})
    await slack.api().call("reactions.add", fine=frozenset({"already_reacted"}))
    with pytest.raises(PlatformRefused):
        await slack.api().call("reactions.add")


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x",
        "http://files.slack.com/x",
        "https://notslack.com/x",
        "https://slack.com@evil.example/",
        "",
    ],
)
async def test_a_token_goes_nowhere_but_to_slack(url: str) -> None:
    slack = Slack(
        {
            "files.info": {"ok": True, "file": {"url_private_download": url}},
            "files.getUploadURLExternal": {"ok": True, "upload_url": url, "file_id": "F1"},
            "apps.connections.open": {"ok": True, "url": url.replace("http", "ws")},
        }
    )
    api = slack.api()
    with pytest.raises(Gone):
        async with api.download("F1"):
            pass
    with pytest.raises(PlatformUnavailable):
        await api.upload("a", Content(0, _nothing()))
    with pytest.raises(PlatformUnavailable):
        await api.socket_url()
    assert {str(request.url.host) for request in slack.asked} == {"slack.com"}


@pytest.mark.parametrize(
    ("status", "header"), [(200, ("content-type", "text/html")), (302, ("location", "/"))]
)
async def test_a_page_for_signing_in_is_no_file(status: int, header: tuple[str, str]) -> None:
    about = {"mimetype": "image/png", "url_private": "https://files.slack.com/F1/a.png"}

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "files.slack.com":
            return httpx2.Response(status, content=b"<html>", headers=[header])
        return httpx2.Response(200, json={"ok": True, "file": about})

    http = httpx2.AsyncClient(base_url=BASE, transport=httpx2.MockTransport(answer))
    with pytest.raises(Gone):
        async with WebApi(http, "xoxb-1", Rates(SystemClock())).download("F1"):
            pass


async def test_names_are_asked_for_once() -> None:
    user = {"name": "ann", "real_name": "Ann Lee", "profile": {"display_name": "", "real_name": "Ann Lee"}}
    slack = Slack({"users.info": {"ok": True, "user": user}})
    names = Names(slack.api(), SystemClock())
    assert [await names.person("U1") for _ in range(3)] == ["Ann Lee"] * 3
    assert await names.channel("C1") == "C1"  # what cannot be asked goes by its id
    assert [request.url.path for request in slack.asked] == ["/api/users.info", "/api/conversations.info"]


async def _nothing() -> AsyncIterator[bytes]:
    for chunk in ():
        yield chunk
