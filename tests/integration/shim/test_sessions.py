"""Sessions and push: through restarts, lost sessions and broken streams, and their end."""

import asyncio
import signal

from tests.support.shim import Shim, running_shim
from tests.support.streamable import Endpoint, Exchange
from tests.support.waiting import until


async def vanish(exchange: Exchange) -> None:
    exchange.drop()


async def pushed(shim: Shim, *texts: str) -> None:
    await until(lambda: len(shim.pushed()) >= len(texts), bound_s=20)
    assert shim.pushed() == list(texts)


async def test_push(twin: str, endpoint: Endpoint) -> None:
    async with running_shim(twin, endpoint.url, "--stateful") as shim:
        await shim.initialize()
        await endpoint.listening()
        seen = await endpoint.saw("GET")
        assert seen.headers["accept"] == "text/event-stream"
        assert "last-event-id" not in seen.headers
        endpoint.push("one\u2028two")
        await pushed(shim, "one\u2028two")


async def test_push_goes_on_after_a_restart_with_nothing_lost(twin: str, endpoint: Endpoint) -> None:
    async with running_shim(twin, endpoint.url, "--stateful") as shim:
        await shim.initialize()
        await endpoint.listening()
        endpoint.push("before")
        await pushed(shim, "before")
        await endpoint.stop()
        endpoint.push("meanwhile")
        # The next attempt comes 3 s after the break: later than other clients try at all.
        await shim.said("cannot be reached")
        await endpoint.start()
        await endpoint.listening()
        endpoint.push("after")
        await pushed(shim, "before", "meanwhile", "after")
        assert endpoint.seen[-1].headers["last-event-id"] == "session-1-1"
        await shim.said("the gateway answers again")


async def test_streams_that_break_again_and_again(twin: str, endpoint: Endpoint) -> None:
    async with running_shim(twin, endpoint.url, "--stateful") as shim:
        await shim.initialize()
        for number in range(3):
            await endpoint.listening()
            endpoint.push(str(number))
            await until(lambda number=number: str(number) in shim.pushed(), bound_s=15)
            for listener in list(endpoint.log.listeners):
                listener.drop()
            await until(lambda: not endpoint.log.listeners)
        await pushed(shim, "0", "1", "2")
        assert shim.errors == [], "a stream that comes back at once is nothing to tell"


async def test_a_lost_session_is_made_anew_unseen(twin: str, endpoint: Endpoint) -> None:
    async with running_shim(twin, endpoint.url, "--stateful") as shim:
        await shim.initialize()
        await endpoint.listening()
        endpoint.push("before")
        await pushed(shim, "before")
        await endpoint.stop(forget=True)
        await endpoint.start()
        ids = [shim.call("act", n=number) for number in range(5)]
        for id_ in ids:
            await shim.result(id_)
        assert sorted(each["n"] for each in endpoint.done) == [0, 1, 2, 3, 4]
        assert list(endpoint.sessions) == ["session-2"], "one new session, however many asked for it"
        await endpoint.listening()
        assert "last-event-id" not in [s for s in endpoint.seen if s.name == "GET"][-1].headers
        endpoint.push("after")
        await pushed(shim, "before", "after")
        assert len([m for m in shim.messages if "protocolVersion" in m.get("result", {})]) == 1
        assert endpoint.count("notifications/initialized") == 2


async def test_the_stream_alone_notices_a_lost_session(twin: str, endpoint: Endpoint) -> None:
    async with running_shim(twin, endpoint.url, "--stateful") as shim:
        await shim.initialize()
        await endpoint.listening()
        await endpoint.stop(forget=True)
        await endpoint.start()
        await endpoint.listening()
        assert list(endpoint.sessions) == ["session-2"]
        endpoint.push("after")
        await pushed(shim, "after")


async def test_the_stream_of_a_lost_session_is_left(twin: str, endpoint: Endpoint) -> None:
    async with running_shim(twin, endpoint.url, "--stateful") as shim:
        await shim.initialize()
        await endpoint.listening()
        old = (await endpoint.saw("GET")).gone
        endpoint.sessions.clear()
        await shim.result(shim.ask("ping"))
        await endpoint.listening()
        endpoint.push("after")
        await pushed(shim, "after")
        async with asyncio.timeout(15):
            await old.wait()


async def test_a_server_that_forgets_every_session_ends_the_attempts(twin: str, endpoint: Endpoint) -> None:
    async def forget(exchange: Exchange) -> None:
        exchange.answer(404)

    async with running_shim(twin, endpoint.url, "--stateful") as shim:
        await shim.initialize()
        await endpoint.listening()
        endpoint.next["tools/list"].extend([forget, forget, forget])
        error = await shim.error(shim.ask("tools/list"))
        assert error["data"]["code"] == "SESSION_LOST"
        assert endpoint.count("tools/list") == 2
        assert endpoint.count("initialize") == 2


async def test_a_revoked_key_stops_the_stream_until_it_works_again(twin: str, endpoint: Endpoint) -> None:
    async def revoked(exchange: Exchange) -> None:
        exchange.answer(401, b'{"code":"KEY_REVOKED","detail":"This key has been revoked"}')

    async with running_shim(twin, endpoint.url, "--stateful") as shim:
        await shim.initialize()
        await endpoint.listening()
        endpoint.next["GET"].append(revoked)
        endpoint.next["ping"].append(revoked)
        endpoint.log.listeners[0].drop()
        await shim.said("This key has been revoked")
        await shim.error(shim.ask("ping"))
        counted: list[int] = []

        async def count(exchange: Exchange) -> None:
            counted.append(endpoint.count("GET"))
            await endpoint.behave(exchange)

        # 3 s later, by when a stream that tried again and again would have done so.
        endpoint.next["tools/list"].extend([vanish, vanish, count])
        await shim.result(shim.ask("tools/list"))
        await endpoint.listening()
        assert counted == [2]


async def test_a_server_without_the_stream(twin: str, endpoint: Endpoint) -> None:
    async def none(exchange: Exchange) -> None:
        exchange.answer(405, allow="POST")

    endpoint.next["GET"].append(none)
    async with running_shim(twin, endpoint.url, "--stateful") as shim:
        await shim.initialize()
        await endpoint.saw("GET")
        for _ in range(3):
            await shim.result(shim.ask("ping"))
        assert endpoint.count("GET") == 1
        assert shim.errors == []


async def test_a_broken_answer_is_taken_up_where_it_ended(twin: str, endpoint: Endpoint) -> None:
    async def begin(exchange: Exchange) -> None:
        exchange.begin_stream()
        exchange.chunk(b"retry: 20\n")
        exchange.event(None, "p-1")
        exchange.chunk(b"")

    async def go_on(exchange: Exchange) -> None:
        assert exchange.seen.headers["last-event-id"] == "p-1"
        exchange.begin_stream()
        call = next(seen for seen in endpoint.seen if seen.name == "tools/call")
        exchange.event({"jsonrpc": "2.0", "id": call.message["id"], "result": {"a": 1}}, "p-2")
        exchange.chunk(b"")

    async with running_shim(twin, endpoint.url, "--stateful") as shim:
        await shim.initialize()
        await endpoint.listening()
        endpoint.next["tools/call"].append(begin)
        endpoint.next["GET"].extend([vanish, go_on])
        assert await shim.result(shim.call("act")) == {"a": 1}
        assert endpoint.count("tools/call") == 1


async def test_a_client_that_begins_anew_gets_a_new_session(twin: str, endpoint: Endpoint) -> None:
    async with running_shim(twin, endpoint.url, "--stateful") as shim:
        await shim.initialize()
        await endpoint.listening()
        await shim.initialize("2025-06-18")
        await endpoint.saw("GET", 2)
        assert list(endpoint.sessions) == ["session-2"]
        assert endpoint.count("DELETE") == 1
        assert endpoint.seen[-1].headers["mcp-protocol-version"] == "2025-06-18"


async def test_the_end_of_the_input_ends_the_session(twin: str, endpoint: Endpoint) -> None:
    async with running_shim(twin, endpoint.url, "--stateful") as shim:
        await shim.initialize()
        await endpoint.listening()
        started = asyncio.get_running_loop().time()
        assert await shim.end() == 0
        assert asyncio.get_running_loop().time() - started < 1.9, "clients kill after 2 s"
        assert endpoint.sessions == {}
        assert (endpoint.count("DELETE"), shim.errors) == (1, [])


async def test_the_end_of_the_input_leaves_a_moment_for_answers(twin: str, endpoint: Endpoint) -> None:
    async with running_shim(twin, endpoint.url) as shim:
        id_ = shim.call("echo", text="hello")
        hanging = shim.ask("ping")

        async def hang(exchange: Exchange) -> None:
            await exchange.seen.gone.wait()

        endpoint.next["ping"].append(hang)
        assert await shim.end() == 0
        await shim.result(id_)
        assert not shim.answers(hanging)


async def test_signals_end_the_session(twin: str, endpoint: Endpoint) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        async with running_shim(twin, endpoint.url, "--stateful") as shim:
            await shim.initialize()
            await endpoint.listening()
            shim.process.send_signal(number)
            async with asyncio.timeout(10):
                assert await shim.process.wait() == 0
            assert (endpoint.sessions, shim.errors) == ({}, [])


async def test_an_unreachable_gateway_does_not_delay_the_end(twin: str, endpoint: Endpoint) -> None:
    async with running_shim(twin, endpoint.url, "--stateful") as shim:
        await shim.initialize()
        await endpoint.listening()
        await endpoint.stop()
        shim.ask("ping")
        await shim.said("cannot be reached")
        shim.process.terminate()
        async with asyncio.timeout(2):
            assert await shim.process.wait() == 0
