"""Host and Origin patterns, header blanks, request ids, and exceptions from within."""

import json
from collections.abc import Mapping

import pytest
from starlette.types import Message, Receive, Scope, Send

from chamade_mcp.kit.request_id import KEY
from chamade_mcp.model.errors import Unavailable
from chamade_mcp.sessions.edge import Edge, hosts_for, origins_for


async def ask(edge: Edge, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await edge({"type": "http", "method": "POST", "path": "/mcp", "headers": raw}, receive, send)
    head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], head, b"".join(message.get("body", b"") for message in sent[1:])


def edge_for(url: str, inner: "Inner | None" = None) -> Edge:
    return Edge(inner or Inner(), allowed_hosts=hosts_for(url), allowed_origins=origins_for(url))


class Inner:
    """Answers 200 and keeps the scope; or raises before or after it has begun to answer."""

    def __init__(self, error: Exception | None = None, *, late: bool = False) -> None:
        self.error = error
        self.late = late
        self.scope: Scope = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        if self.error is not None and not self.late:
            raise self.error
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if self.error is not None:
            raise self.error
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.mark.parametrize(
    ("url", "host", "status"),
    [
        ("https://gw.example.org", "gw.example.org", 200),
        ("https://gw.example.org", "GW.Example.org:443", 200),
        ("https://gw.example.org", "mcp.gw.example.org", 200),
        ("https://gw.example.org", "gw.example.org:8443", 421),
        ("https://gw.example.org", "other.gw.example.org", 421),
        ("https://gw.example.org:8443", "gw.example.org:8443", 200),
        ("https://gw.example.org:8443", "gw.example.org", 421),
        ("http://192.0.2.7:8000", "192.0.2.7:8000", 200),
        ("http://192.0.2.7:8000", "mcp.192.0.2.7:8000", 421),
        ("http://[2001:db8::1]:8000", "[2001:db8::1]:8000", 200),
        ("https://gw.example.org", "[::1]:5", 200),
        ("https://gw.example.org", "localhost", 200),
        ("https://gw.example.org", "localhost:", 421),
        ("https://gw.example.org", "localhost:80x", 421),
        ("https://gw.example.org", "", 421),
    ],
)
async def test_hosts(url: str, host: str, status: int) -> None:
    assert (await ask(edge_for(url), {"host": host}))[0] == status


async def test_a_missing_host_is_foreign() -> None:
    assert (await ask(edge_for("http://localhost"), {}))[0] == 421


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://gw.example.org", 200),
        ("https://GW.example.org", 200),
        ("http://gw.example.org", 403),
        ("https://gw.example.org.evil.example", 403),
        ("null", 403),
        ("http://localhost:6274", 200),
        ("https://[::1]:1", 200),
    ],
)
async def test_origins(origin: str, status: int) -> None:
    edge = edge_for("https://gw.example.org")
    assert (await ask(edge, {"host": "gw.example.org", "origin": origin}))[0] == status


async def test_blanks_around_header_values_are_gone() -> None:
    inner = Inner()
    await ask(edge_for("http://localhost", inner), {"host": "localhost ", "mcp-method": " tools/list \t"})
    assert (b"mcp-method", b"tools/list") in inner.scope["headers"]


@pytest.mark.parametrize("given", ["", "with blanks", "x" * 65, "a\nb"])
async def test_a_request_id_that_could_harm_a_log_is_replaced(given: str) -> None:
    inner = Inner()
    _, head, _ = await ask(edge_for("http://localhost", inner), {"host": "localhost", "x-request-id": given})
    assert head["x-request-id"] == inner.scope[KEY]
    assert head["x-request-id"] != given


async def test_a_sane_request_id_is_kept() -> None:
    _, head, _ = await ask(edge_for("http://localhost"), {"host": "localhost", "x-request-id": "abc-1"})
    assert head["x-request-id"] == "abc-1"


async def test_errors_from_within_become_problems() -> None:
    inner = Inner(Unavailable("The database is busy", retry_after=1.2))
    status, head, body = await ask(edge_for("http://localhost", inner), {"host": "localhost"})
    assert (status, head["retry-after"], json.loads(body)["code"]) == (503, "2", "UNAVAILABLE")
    assert json.loads(body)["request_id"] == head["x-request-id"]


async def test_an_unexpected_exception_is_logged_and_told_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inner = Inner(RuntimeError("secret detail"))
    status, head, body = await ask(edge_for("http://localhost", inner), {"host": "localhost"})
    assert (status, json.loads(body)["outcome"]) == (500, "unknown")
    assert b"secret" not in body
    assert head["x-request-id"] in caplog.text


async def test_an_answer_that_has_begun_is_left_alone() -> None:
    inner = Inner(RuntimeError("too late"), late=True)
    status, _, body = await ask(edge_for("http://localhost", inner), {"host": "localhost"})
    assert (status, body) == (200, b"")
