"""What goes through the shims, and how it is sent."""

import asyncio
import json
from base64 import b64encode

import pytest

from tests.support.shim import Document, running_shim
from tests.support.streamable import MODERN, Endpoint, Exchange
from tests.support.waiting import until

SEPARATORS = "a\u2028b\u2029c\u0085d\u000be\u000cf\r\ng"
META: Document = {MODERN: "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


async def test_messages_pass_through_as_they_are(twin: str, endpoint: Endpoint) -> None:
    line = (
        '{"id" :"x-1",  "jsonrpc":"2.0","method":"tools/call","future":[1.50,{"a":null}],'
        f'"params":{{"name":"echo","arguments":{{"text":{json.dumps(SEPARATORS, ensure_ascii=False)}}}}}}}'
    )
    async with running_shim(twin, endpoint.url) as shim:
        shim.send_line(line.encode())
        assert (await shim.result("x-1"))["content"][0]["text"] == SEPARATORS
        assert endpoint.seen[0].body == line.encode()
        # Some clients take these for the ends of lines.
        assert not any(each in shim.lines[0].decode() for each in "\u2028\u2029\u0085\r")


@pytest.mark.parametrize("id_", [0, -1, 7, "7", "", "ünï", 2**53 - 1])
async def test_ids_of_every_kind(twin: str, endpoint: Endpoint, id_: int | str) -> None:
    async with running_shim(twin, endpoint.url) as shim:
        shim.send({"jsonrpc": "2.0", "id": id_, "method": "ping"})
        assert await shim.answer(id_) == {"jsonrpc": "2.0", "id": id_, "result": {}}


async def test_huge_messages_both_ways(twin: str, endpoint: Endpoint) -> None:
    text = "äöü\u2028" * 1_000_000
    async with running_shim(twin, endpoint.url) as shim:
        assert (await shim.result(shim.call("echo", text=text)))["content"][0]["text"] == text

        async def in_a_stream(exchange: Exchange) -> None:
            exchange.begin_stream()
            exchange.event({"jsonrpc": "2.0", "id": exchange.seen.message["id"], "result": {"text": text}})
            exchange.chunk(b"")

        endpoint.next["ping"].append(in_a_stream)
        assert (await shim.result(shim.ask("ping")))["text"] == text


async def test_a_last_line_without_its_end(twin: str, endpoint: Endpoint) -> None:
    async with running_shim(twin, endpoint.url) as shim:
        assert shim.process.stdin is not None
        shim.process.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}')
        assert await shim.end() == 0
        assert await shim.result(1) == {}


@pytest.mark.parametrize(
    ("line", "code", "id_"),
    [
        (b"nonsense", -32700, None),
        (b'{"jsonrpc":"2.0"', -32700, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping\xff"}', -32700, None),
        (b"[" * 100_000, -32700, None),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600, None),
        (b'"ping"', -32600, None),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600, None),
        (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600, None),
        (b'{"jsonrpc":"2.0","id":3}', -32600, 3),
    ],
)
async def test_what_is_no_message_is_answered_here(
    twin: str, endpoint: Endpoint, line: bytes, code: int, id_: int | None
) -> None:
    async with running_shim(twin, endpoint.url) as shim:
        shim.send_line(b"")
        shim.send_line(b" \t\r")
        shim.send_line(line)
        await until(lambda: shim.messages, bound_s=15)
        (answer,) = shim.messages
        assert (answer["id"], answer["error"]["code"]) == (id_, code)
        await shim.result(shim.ask("ping"))
        assert [seen.name for seen in endpoint.seen] == ["ping"]


async def test_an_answer_over_many_lines_becomes_one(twin: str, endpoint: Endpoint) -> None:
    async def pretty(exchange: Exchange) -> None:
        document = {"jsonrpc": "2.0", "id": exchange.seen.message["id"], "result": {"text": SEPARATORS}}
        body = json.dumps(document, indent=2).replace("\n", "\r\n").encode()
        exchange.answer(200, body, **{"content-type": "application/json"})

    endpoint.next["ping"].append(pretty)
    async with running_shim(twin, endpoint.url) as shim:
        assert await shim.result(shim.ask("ping")) == {"text": SEPARATORS}
        assert len(shim.lines) == 1


async def test_a_slow_answer_holds_nobody_up(twin: str, endpoint: Endpoint) -> None:
    may_answer = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        await may_answer.wait()
        exchange.result({"slow": True})

    endpoint.next["ping"].append(slow)
    async with running_shim(twin, endpoint.url) as shim:
        waiting = shim.ask("ping")
        await endpoint.saw("ping")
        for _ in range(20):
            await shim.result(shim.call("echo", text="quick"))
        assert not shim.answers(waiting)
        may_answer.set()
        assert await shim.result(waiting) == {"slow": True}


async def test_many_at_once(twin: str, endpoint: Endpoint) -> None:
    async with running_shim(twin, endpoint.url) as shim:
        ids = [shim.call("echo", text=str(number)) for number in range(200)]
        for number, id_ in enumerate(ids):
            assert (await shim.result(id_))["content"][0]["text"] == str(number)


async def test_a_stream_brings_notifications_and_then_the_answer(twin: str, endpoint: Endpoint) -> None:
    progress = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}
    question = {"jsonrpc": "2.0", "id": "s1", "method": "roots/list"}

    async def stream(exchange: Exchange) -> None:
        exchange.begin_stream()
        exchange.chunk(b"\xef\xbb\xbf: hello\r\n\r\n")
        for document in (progress, question):
            exchange.event(document)
        exchange.chunk(b"event: other\ndata: {}\n\ndata: nonsense\n\n")
        answer = json.dumps({"jsonrpc": "2.0", "id": exchange.seen.message["id"], "result": {"a": 1}})
        first, second, third = answer.partition(",")
        # In pieces that respect nothing, over two data lines.
        for byte in f"data: {first}{second}\r\ndata: {third}\r\n\r\n".encode():
            exchange.chunk(bytes([byte]))
        exchange.chunk(b"")

    endpoint.next["ping"].append(stream)
    async with running_shim(twin, endpoint.url) as shim:
        assert await shim.result(shim.ask("ping")) == {"a": 1}
        assert shim.messages[:2] == [progress, question]
        shim.send({"jsonrpc": "2.0", "id": "s1", "result": {"roots": []}})
        assert (await endpoint.saw("response")).message["result"] == {"roots": []}


async def test_what_follows_the_handshake_waits_for_it(twin: str, endpoint: Endpoint) -> None:
    may_answer = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        await may_answer.wait()
        await endpoint.behave(exchange)

    endpoint.next["initialize"].append(slow)
    params = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "x", "version": "1"},
    }
    async with running_shim(twin, endpoint.url, "--stateful") as shim:
        first = shim.ask("initialize", params)
        shim.notify("notifications/initialized")
        listed = shim.ask("tools/list")
        # This one waits for nothing, and comes after them.
        await shim.answer(shim.ask("ping", {"_meta": META}))
        assert {seen.name for seen in endpoint.seen} == {"initialize", "ping"}
        may_answer.set()
        await shim.result(first)
        await shim.result(listed)
        await endpoint.listening()
    first_seen, *others = [seen for seen in endpoint.seen if seen.name != "ping"]
    assert (first_seen.name, others[0].name) == ("initialize", "notifications/initialized")
    headers = ("mcp-protocol-version", "mcp-session-id")
    assert [first_seen.headers.get(name) for name in headers] == [None, None]
    for seen in others:
        assert [seen.headers.get(name) for name in headers] == ["2025-06-18", "session-1"]
    assert {seen.target for seen in endpoint.seen} == {"/mcp/?stateful"}


async def test_every_request_has_its_headers(twin: str, endpoint: Endpoint) -> None:
    async with running_shim(twin, endpoint.url) as shim:
        await shim.initialize()
        seen = await endpoint.saw("notifications/initialized")
    assert seen.headers["authorization"] == "Bearer chmd_abcdefghij_0123456789"
    assert seen.headers["accept"] == "application/json, text/event-stream"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["user-agent"].startswith(f"chamade-mcp-shim-{twin}/")
    assert endpoint.count("GET") == 0, "without a session there is nothing to listen to"


async def test_modern_requests_repeat_themselves_in_headers(twin: str, endpoint: Endpoint) -> None:
    async with running_shim(twin, endpoint.url) as shim:

        async def ask(method: str, **params: object) -> dict[str, str]:
            await shim.answer(shim.ask(method, {**params, "_meta": META}))
            names = ("mcp-protocol-version", "mcp-method", "mcp-name", "mcp-param-place", "mcp-param-n")
            return {n: v for n, v in endpoint.seen[-1].headers.items() if n in names}

        listed = await ask("tools/list")
        assert listed == {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list"}
        plain = await ask("tools/call", name="act", arguments={"where": "Berlin", "in": {"n": 5}})
        assert plain["mcp-name"] == "act"
        assert (plain["mcp-param-place"], plain["mcp-param-n"]) == ("Berlin", "5")
        odd = await ask("tools/call", name="act", arguments={"where": " Zürich", "in": None})
        assert odd["mcp-param-place"] == f"=?base64?{b64encode(' Zürich'.encode()).decode()}?="
        assert "mcp-param-n" not in odd
        assert (await ask("resources/read", uri="chamade://calls/1"))["mcp-name"] == "chamade://calls/1"


async def test_a_modern_cancellation_closes_the_connection(twin: str, endpoint: Endpoint) -> None:
    async def hang(exchange: Exchange) -> None:
        await exchange.seen.gone.wait()

    endpoint.next["tools/call"].append(hang)
    params: Document = {"name": "echo", "arguments": {}, "_meta": META}
    async with running_shim(twin, endpoint.url) as shim:
        id_ = shim.ask("tools/call", params)
        seen = await endpoint.saw("tools/call")
        shim.notify("notifications/cancelled", {"requestId": id_, "_meta": META})
        async with asyncio.timeout(15):
            await seen.gone.wait()
        await shim.answer(shim.ask("ping", {"_meta": META}))
        assert not shim.answers(id_)
    assert endpoint.count("notifications/cancelled") == 0


async def test_a_cancellation_in_a_session_is_told_to_the_server(twin: str, endpoint: Endpoint) -> None:
    async def hang(exchange: Exchange) -> None:
        await exchange.seen.gone.wait()

    async with running_shim(twin, endpoint.url, "--stateful") as shim:
        await shim.initialize()
        endpoint.next["ping"].append(hang)
        id_ = shim.ask("ping")
        seen = await endpoint.saw("ping")
        shim.notify("notifications/cancelled", {"requestId": id_})
        assert (await endpoint.saw("notifications/cancelled")).message["params"] == {"requestId": id_}
        assert not seen.gone.is_set()


async def test_an_error_of_the_protocol_gets_the_id_of_its_request(twin: str, endpoint: Endpoint) -> None:
    error = {"code": -32022, "message": "Unsupported", "data": {"supported": ["2025-11-25"]}}

    async def refuse(exchange: Exchange) -> None:
        exchange.reply({"jsonrpc": "2.0", "id": None, "error": error}, 400)

    endpoint.next["server/discover"].append(refuse)
    async with running_shim(twin, endpoint.url, "--stateful") as shim:
        assert await shim.error(shim.ask("server/discover", {"_meta": META})) == error
        assert (await shim.error(shim.ask("no/such")))["code"] == -32601
        assert shim.errors == []
