"""What the shims make of a gateway that refuses, breaks off or is not there."""

import asyncio

import pytest

from tests.support.shim import running_shim
from tests.support.streamable import Endpoint, Exchange, Fault

HTML = b"<html>Welcome</html>"


def says(status: int, body: bytes = b"", /, **headers: str) -> Fault:
    async def say(exchange: Exchange) -> None:
        exchange.answer(status, body, **headers)

    return say


async def vanish(exchange: Exchange) -> None:
    exchange.drop()


async def do_and_vanish(exchange: Exchange) -> None:
    exchange.endpoint.done.append(exchange.seen.message["params"]["arguments"])
    exchange.drop()


async def half_an_answer(exchange: Exchange) -> None:
    exchange.answer(
        200, b'{"jsonrpc":"2.0",', **{"content-type": "application/json", "content-length": "999"}
    )
    await exchange.writer.drain()
    exchange.writer.close()


async def half_a_chunk(exchange: Exchange) -> None:
    exchange.begin_stream()
    exchange.writer.write(b'40\r\ndata: {"jsonrpc"')
    await exchange.writer.drain()
    exchange.writer.close()


async def a_stream_without_the_answer(exchange: Exchange) -> None:
    exchange.begin_stream()
    exchange.event({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}})
    exchange.chunk(b"")


async def no_http(exchange: Exchange) -> None:
    exchange.writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    exchange.writer.close()


BROKEN = [vanish, half_an_answer, half_a_chunk, a_stream_without_the_answer, no_http]
breaks = pytest.mark.parametrize("fault", BROKEN, ids=lambda fault: fault.__name__)


@breaks
async def test_what_only_reads_is_asked_again(twin: str, endpoint: Endpoint, fault: Fault) -> None:
    async with running_shim(twin, endpoint.url) as shim:
        await shim.result(shim.ask("tools/list"))
        endpoint.next["tools/call"].append(fault)
        result = await shim.result(shim.call("echo", text="hello"))
        assert result["content"][0]["text"] == "hello"
        assert endpoint.count("tools/call") == 2
        await shim.said("the gateway answers again")


@breaks
async def test_what_may_do_something_is_never_sent_twice(twin: str, endpoint: Endpoint, fault: Fault) -> None:
    async with running_shim(twin, endpoint.url) as shim:
        await shim.result(shim.ask("tools/list"))
        endpoint.next["tools/call"].append(fault)
        error = await shim.error(shim.call("act", n=1))
        assert error["code"] == -32011
        assert "outcome is unknown" in error["message"]
        data = error["data"]
        assert (data["code"], data["action"], data["outcome"]) == ("OUTCOME_UNKNOWN", "wait", "unknown")
        await shim.result(shim.ask("ping"))
        assert endpoint.count("tools/call") == 1


async def test_a_tool_that_nobody_has_listed_may_do_something(twin: str, endpoint: Endpoint) -> None:
    endpoint.next["tools/call"].append(do_and_vanish)
    async with running_shim(twin, endpoint.url) as shim:
        error = await shim.error(shim.call("echo", n=1))
        assert error["data"]["code"] == "OUTCOME_UNKNOWN"
        assert endpoint.done == [{"n": 1}]


async def test_a_gateway_that_starts_late(twin: str, endpoint: Endpoint) -> None:
    await endpoint.stop()
    async with running_shim(twin, endpoint.url) as shim:
        id_ = shim.call("act", n=1)
        await shim.said("cannot be reached: connection refused")
        assert not shim.answers(id_)
        await endpoint.start()
        # It was never sent, so it can be sent again whatever it does.
        await shim.result(id_)
        await shim.said("the gateway answers again")
        assert endpoint.done == [{"n": 1}]
        assert len(shim.errors) == 2


async def test_a_gateway_that_does_not_come_is_given_up(twin: str, endpoint: Endpoint) -> None:
    await endpoint.stop()
    async with running_shim(twin, endpoint.url) as shim:
        ids = [shim.call("act"), shim.ask("ping")]
        started = asyncio.get_running_loop().time()
        for id_ in ids:
            error = await shim.error(id_, bound_s=25)
            assert error["code"] == -32010
            assert (error["data"]["code"], error["data"]["outcome"]) == ("UNREACHABLE", "not_done")
        # After 1, 2 and 5 s, both side by side.
        assert 7.9 < asyncio.get_running_loop().time() - started < 12
        assert len(shim.errors) == 1, "the same trouble is told once"


async def test_a_wrong_key(twin: str, endpoint: Endpoint) -> None:
    async with running_shim(twin, endpoint.url, key="chmd_wrong_key") as shim:
        for method in ("initialize", "tools/list", "ping"):
            error = await shim.error(shim.ask(method))
            assert error["code"] == -32012
            assert "Invalid or missing API key" in error["message"]
            data = error["data"]
            assert (data["code"], data["action"], data["status"]) == ("INVALID_API_KEY", "ask_human", 401)
        assert [seen.name for seen in endpoint.seen] == ["initialize", "tools/list", "ping"]
        await shim.said("check CHAMADE_API_KEY")
        assert len(shim.errors) == 1


async def test_a_key_that_the_answer_repeats_is_not_shown(twin: str, endpoint: Endpoint) -> None:
    endpoint.next["ping"].append(says(401, b'{"detail":"chmd_abcdefghij_0123456789 has expired"}'))
    async with running_shim(twin, endpoint.url) as shim:
        await shim.error(shim.ask("ping"))
        await shim.said("chmd_*** has expired")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 413, 415, 422])
async def test_a_refusal_is_final(twin: str, endpoint: Endpoint, status: int) -> None:
    problem = b'{"code":"SOME_CODE","detail":"Because.","action":"give_up","param":"x","request_id":"r-1"}'
    endpoint.next["ping"].append(says(status, problem, **{"content-type": "application/problem+json"}))
    async with running_shim(twin, endpoint.url) as shim:
        error = await shim.error(shim.ask("ping"))
        assert "Because" in error["message"]
        wanted = {"code": "SOME_CODE", "action": "give_up", "outcome": "not_done", "status": status}
        assert error["data"] == {**wanted, "param": "x", "request_id": "r-1"}
        await shim.result(shim.ask("ping"))
        assert endpoint.count("ping") == 2


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_honoured(twin: str, endpoint: Endpoint, status: int) -> None:
    endpoint.next["tools/call"].append(says(status, **{"retry-after": "2"}))
    async with running_shim(twin, endpoint.url) as shim:
        started = asyncio.get_running_loop().time()
        await shim.result(shim.call("act", n=1))
        assert asyncio.get_running_loop().time() - started > 1.9
        assert endpoint.done == [{"n": 1}]


async def test_who_wants_a_long_pause_is_not_waited_for(twin: str, endpoint: Endpoint) -> None:
    endpoint.next["ping"].append(says(429, b'{"detail":"Slow down"}', **{"retry-after": "3600"}))
    async with running_shim(twin, endpoint.url) as shim:
        error = await shim.error(shim.ask("ping"), bound_s=5)
        assert (error["data"]["retry_after"], error["data"]["action"]) == (3600, "wait")
        assert endpoint.count("ping") == 1


async def test_a_503_that_may_have_done_it_is_not_repeated(twin: str, endpoint: Endpoint) -> None:
    endpoint.next["tools/call"].append(says(503, b'{"detail":"Lost the core","outcome":"unknown"}'))
    async with running_shim(twin, endpoint.url) as shim:
        error = await shim.error(shim.call("act"))
        assert error["data"]["code"] == "OUTCOME_UNKNOWN"
        assert endpoint.count("tools/call") == 1


async def test_a_proxy_without_a_gateway_behind_it(twin: str, endpoint: Endpoint) -> None:
    endpoint.next["ping"].append(says(502, HTML))
    endpoint.next["tools/call"].append(says(504, HTML))
    async with running_shim(twin, endpoint.url) as shim:
        await shim.result(shim.ask("ping"))
        assert (await shim.error(shim.call("act")))["data"]["outcome"] == "unknown"
        assert (endpoint.count("ping"), endpoint.count("tools/call")) == (2, 1)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (
            says(200, HTML, **{"content-type": "text/html"}),
            "is no MCP endpoint (a request is answered with text/html)",
        ),
        (says(200, b"{}", **{"content-type": "application/json"}), "is no MCP endpoint"),
        (says(202), "is answered with a bare 202"),
        (says(204), "is answered with a bare 204"),
        (says(307, location="https://elsewhere.example/mcp/"), "redirects to https://elsewhere.example/mcp/"),
        (says(404, HTML), "is CHAMADE_URL (or CHAMADE_MCP_URL) the gateway's address?"),
    ],
)
async def test_the_wrong_address_is_told(twin: str, endpoint: Endpoint, fault: Fault, text: str) -> None:
    endpoint.next["tools/call"].append(fault)
    async with running_shim(twin, endpoint.url) as shim:
        error = await shim.error(shim.call("act"))
        assert text in error["message"]
        assert error["data"]["action"] == "ask_human"
        await shim.said(text)
        assert endpoint.count("tools/call") == 1


async def test_an_idle_connection_that_the_server_has_closed(twin: str, endpoint: Endpoint) -> None:
    async with running_shim(twin, endpoint.url) as shim:
        for number in range(3):
            await shim.result(shim.call("act", n=number))
            await endpoint.stop()
            await endpoint.start()
        assert endpoint.done == [{"n": 0}, {"n": 1}, {"n": 2}]


async def test_a_notification_that_fails_is_told_to_the_person_alone(twin: str, endpoint: Endpoint) -> None:
    endpoint.next["notifications/x"].append(says(400, b'{"detail":"No such notification"}'))
    async with running_shim(twin, endpoint.url) as shim:
        shim.notify("notifications/x")
        await shim.said("No such notification")
        await shim.result(shim.ask("ping"))
        assert len(shim.messages) == 1


async def test_a_cancelled_request_is_not_sent_again(twin: str, endpoint: Endpoint) -> None:
    endpoint.next["ping"].append(vanish)
    async with running_shim(twin, endpoint.url) as shim:
        id_ = shim.ask("ping")
        await shim.said("went away")
        shim.notify("notifications/cancelled", {"requestId": id_})
        # Long enough for the repetition that must not come: this one needs just as long.
        endpoint.next["tools/list"].append(vanish)
        await shim.result(shim.ask("tools/list"))
        assert not shim.answers(id_)
        assert endpoint.count("ping") == 1
