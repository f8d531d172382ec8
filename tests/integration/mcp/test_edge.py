"""What the endpoint refuses before any MCP work is done, over a real socket."""

import asyncio
import json
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.support.core_api import CURSOR, KEY, FakeCore
from tests.support.requirement import requirement

MAX_BODY = 4 * 1024 * 1024
AUTH = {"authorization": f"Bearer {KEY}"}
HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
MODERN = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


async def post(url: str, headers: dict[str, str], body: bytes | None = None) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=10) as http:
        content = json.dumps(LIST).encode() if body is None else body
        return await http.post(url, headers={**HEADERS, **headers}, content=content)


@requirement("R-214", "R-215", "R-217")
@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/mcp?x=1", "/mcp/?x=1"])
async def test_both_spellings_answer_plain_json_without_a_redirect(gateway: str, path: str) -> None:
    answer = await post(gateway + path, AUTH)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert len(answer.json()["result"]["tools"]) == 15
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("headers", [{"x-api-key": KEY}, {"authorization": f"bearer  {KEY}"}])
async def test_other_spellings_of_the_key(gateway: str, headers: dict[str, str]) -> None:
    assert (await post(f"{gateway}/mcp/", headers)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "code", "challenge"),
    [
        ({}, "MISSING_API_KEY", "Bearer"),
        ({"authorization": "Bearer"}, "MISSING_API_KEY", "Bearer"),
        ({"authorization": f"Basic {KEY}"}, "MISSING_API_KEY", "Bearer"),
        ({"authorization": "Bearer chmd_wrong"}, "INVALID_API_KEY", 'Bearer error="invalid_token"'),
        ({"x-api-key": "chmd_wrong"}, "INVALID_API_KEY", 'Bearer error="invalid_token"'),
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_nobody_gets_in_without_a_key(
    gateway: str, headers: dict[str, str], code: str, challenge: str, method: str
) -> None:
    async with httpx2.AsyncClient(timeout=10) as http:
        answer = await http.request(method, f"{gateway}/mcp/", headers={**headers, "x-request-id": "mine-1"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, challenge)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["detail"], problem["code"]) == ("Invalid or missing API key", code)
    assert problem["request_id"] == answer.headers["x-request-id"] == "mine-1"


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("era", [{}, {"mcp-protocol-version": "2025-11-25"}, MODERN])
async def test_only_post_is_served(gateway: str, method: str, era: dict[str, str]) -> None:
    headers = {**AUTH, **era, "accept": "text/event-stream"}
    async with httpx2.AsyncClient(timeout=10) as http:
        answer = await http.request(method, f"{gateway}/mcp/", headers=headers)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("era", [{}, MODERN])
async def test_a_declared_body_over_the_cap_is_refused_before_it_is_read(
    gateway: str, era: dict[str, str]
) -> None:
    parts = urlsplit(gateway)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    fields = {"host": parts.netloc, **HEADERS, **AUTH, **era, "content-length": str(MAX_BODY + 1)}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    try:
        writer.write(f"POST /mcp/ HTTP/1.1\r\n{head}\r\n".encode())
        async with asyncio.timeout(10):
            assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
            rest = await reader.readuntil(b"}")
        assert b'"code":"BODY_TOO_LARGE"' in rest
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_body_in_chunks_over_the_cap_is_refused_too(gateway: str) -> None:
    async def chunks():
        for _ in range(5):
            yield b" " * (1024 * 1024)

    async with httpx2.AsyncClient(timeout=20) as http:
        answer = await http.post(f"{gateway}/mcp/", headers={**HEADERS, **AUTH}, content=chunks())
    assert answer.status_code == 413


async def test_a_body_at_the_cap_is_served(gateway: str) -> None:
    body = json.dumps(LIST).encode().ljust(MAX_BODY)
    assert (await post(f"{gateway}/mcp/", AUTH, body)).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1.evil.example:80"],
)
async def test_a_foreign_page_is_refused(gateway: str, origin: str) -> None:
    answer = await post(f"{gateway}/mcp/", {**AUTH, "origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "FOREIGN_ORIGIN")


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80"])
async def test_a_foreign_host_is_refused(gateway: str, host: str) -> None:
    answer = await post(f"{gateway}/mcp/", {**AUTH, "host": host})
    assert (answer.status_code, answer.json()["code"]) == (421, "FOREIGN_HOST")


@pytest.mark.parametrize("name", ["localhost", "localhost:1", "127.0.0.1:99"])
async def test_loopback_by_any_name_is_ours(gateway: str, name: str) -> None:
    answer = await post(f"{gateway}/mcp/", {**AUTH, "host": name, "origin": f"http://{name}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"jsonrpc":"2.0","id":1}', b"\xff"])
@pytest.mark.parametrize("era", [{}, MODERN])
async def test_a_broken_body_is_a_json_rpc_error(gateway: str, body: bytes, era: dict[str, str]) -> None:
    answer = await post(f"{gateway}/mcp/", {**AUTH, **era}, body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in {-32700, -32600, -32602}


async def test_blanks_after_header_values_do_not_break_header_validation(gateway: str) -> None:
    parts = urlsplit(gateway)
    meta: dict[str, object] = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    body = json.dumps({**LIST, "params": {"_meta": meta}}).encode()
    fields = {"host": parts.netloc, **HEADERS, **AUTH, **MODERN, "content-length": str(len(body))}
    head = "".join(f"{name}:  {value} \t\r\n" for name, value in fields.items())
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(f"POST /mcp/ HTTP/1.1\r\n{head}\r\n".encode() + body)
        async with asyncio.timeout(10):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_long_poll_ends_when_the_client_hangs_up(gateway: str, core_api: FakeCore) -> None:
    parts = urlsplit(gateway)
    meta: dict[str, object] = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    arguments = {"last_message_cursor": CURSOR, "wait": 55}
    params = {"name": "chamade_inbox", "arguments": arguments, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    modern = {**MODERN, "mcp-method": "tools/call", "mcp-name": "chamade_inbox"}
    fields = {"host": parts.netloc, **HEADERS, **AUTH, **modern, "content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"POST /mcp/ HTTP/1.1\r\n{head}\r\n".encode() + body)
    async with asyncio.timeout(10):
        await core_api.polling.wait()
        writer.close()
        await core_api.poll_over.wait()
    await writer.wait_closed()
