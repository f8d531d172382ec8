"""What the transport refuses, and where it sends the rest."""

from typing import Any

import pytest

from chamade_mcp.model.access import Caller
from chamade_mcp.sessions.http import MAX_BODY_BYTES, Endpoint, accepted, is_json, wants_session
from tests.support.asgi import MODERN_META, ask

LIST: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
MODERN_LIST: dict[str, Any] = {**LIST, "params": {"_meta": MODERN_META}}
MODERN = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list"}


@pytest.mark.parametrize("version", [None, "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_the_handshake_era_without_a_handshake(
    endpoint: Endpoint, ada: Caller, version: str | None
) -> None:
    headers = {} if version is None else {"mcp-protocol-version": version}
    got = await ask(endpoint, ada, LIST, headers)
    assert (got.status, got.headers["content-type"]) == (200, "application/json")
    assert len(got.json["result"]["tools"]) == 15
    assert set(got.json["result"]) == {"tools"}


async def test_the_modern_era_says_more_about_its_results(endpoint: Endpoint, ada: Caller) -> None:
    got = await ask(endpoint, ada, MODERN_LIST, MODERN)
    result = got.json["result"]
    assert (got.status, result["resultType"], result["cacheScope"]) == (200, "complete", "public")
    assert result["ttlMs"] > 0
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "chamade"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"accept": "text/html"}, 406),
        ({"accept": "text/event-stream"}, 406),
        ({"accept": "application/json;q=0, text/event-stream"}, 406),
        ({"accept": "application/json"}, 200),
        ({"accept": "*/*"}, 200),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/jsonp"}, 415),
        ({"content-type": "Application/JSON; charset=utf-8"}, 200),
        ({"content-length": str(MAX_BODY_BYTES + 1)}, 413),
    ],
)
@pytest.mark.parametrize("modern", [False, True])
async def test_heads(
    endpoint: Endpoint, ada: Caller, headers: dict[str, str], status: int, modern: bool
) -> None:
    body, era = (MODERN_LIST, MODERN) if modern else (LIST, {})
    assert (await ask(endpoint, ada, body, {**era, **headers})).status == status


@pytest.mark.parametrize("chunks", [[b" " * MAX_BODY_BYTES, b" "], [b" "] * 3 + [b"x" * MAX_BODY_BYTES]])
async def test_a_body_in_chunks_over_the_cap(endpoint: Endpoint, ada: Caller, chunks: list[bytes]) -> None:
    got = await ask(endpoint, ada, chunks=chunks)
    assert (got.status, got.json["code"]) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD", "PUT", "OPTIONS"])
async def test_other_methods(endpoint: Endpoint, ada: Caller, method: str) -> None:
    got = await ask(endpoint, ada, method=method, headers={"accept": "text/event-stream"})
    assert (got.status, got.headers["allow"]) == (405, "POST")
    assert got.json["request_id"] == ada.request_id
    if method not in ("GET", "DELETE"):
        session = await ask(endpoint, ada, method=method, query="stateful")
        assert (session.status, session.headers["allow"]) == (405, "GET, POST, DELETE")


@pytest.mark.parametrize("message", [{"jsonrpc": "2.0", "method": "notifications/initialized"}])
@pytest.mark.parametrize("era", [{}, MODERN])
async def test_notifications_are_acknowledged(
    endpoint: Endpoint, ada: Caller, message: dict[str, str], era: dict[str, str]
) -> None:
    got = await ask(endpoint, ada, message, era)
    assert (got.status, got.body) == (202, b"")


@pytest.mark.parametrize("version", ["2027-01-01", "1.0", ""])
async def test_an_unknown_version_is_told_the_known_ones(
    endpoint: Endpoint, ada: Caller, version: str
) -> None:
    meta = {**MODERN_META, "io.modelcontextprotocol/protocolVersion": version}
    headers = {"mcp-protocol-version": version, "mcp-method": "tools/list"}
    got = await ask(endpoint, ada, {**LIST, "params": {"_meta": meta}}, headers)
    assert (got.status, got.json["id"], got.json["error"]["code"]) == (400, 1, -32022)
    assert got.json["error"]["data"] == {"supported": ["2026-07-28"], "requested": version}


async def test_a_modern_body_needs_the_modern_headers(endpoint: Endpoint, ada: Caller) -> None:
    got = await ask(endpoint, ada, MODERN_LIST)
    assert (got.status, got.json["error"]["code"]) == (400, -32020)


async def test_unknown_methods(endpoint: Endpoint, ada: Caller) -> None:
    nothing = {**LIST, "method": "tools/nothing"}
    old = await ask(endpoint, ada, nothing)
    new = await ask(
        endpoint,
        ada,
        {**nothing, "params": {"_meta": MODERN_META}},
        {**MODERN, "mcp-method": "tools/nothing"},
    )
    assert (old.status, old.json["error"]["code"]) == (200, -32601)
    assert (new.status, new.json["error"]["code"]) == (404, -32601)


def test_accept_headers() -> None:
    assert accepted(b"application/*, text/*") == (True, True)
    assert accepted(b"APPLICATION/JSON ; q=0.5") == (True, False)
    assert accepted(b"text/event-stream;q=0.0, application/json") == (True, False)
    assert accepted(b"") == (False, False)
    assert not is_json(b"")


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (b"stateful", True),
        (b"stateful=", True),
        (b"stateful=no", True),
        (b"a=b&stateful=1", True),
        (b"state%66ul", True),
        (b"stateful2", False),
        (b"x=stateful", False),
        (b"", False),
    ],
)
def test_the_presence_of_the_key_alone_counts(query: bytes, wanted: bool) -> None:
    assert wants_session(query) is wanted
