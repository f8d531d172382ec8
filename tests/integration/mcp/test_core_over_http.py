"""Tools and API in two places: the same client over a URL."""

import asyncio
import socket
from contextlib import nullcontext

import pytest

from chamade_mcp.model.access import Caller
from chamade_mcp.tools.client import CoreClient, CoreError
from chamade_mcp.tools.transport import OverHttp
from tests.support.core_api import CURSOR, FakeCore
from tests.support.server import serve


async def test_the_same_operations_over_a_url(core_api: FakeCore, caller: Caller) -> None:
    core_api.add_conversation("web", "hello")
    async with serve(lambda _: nullcontext(core_api.app())) as url:
        transport = OverHttp(url)
        client = CoreClient(transport)
        account = await client.account(caller)
        sent = await client.send_dm(caller, {"platform": "web", "text": "grüß dich"})
        await client.inbox(caller, {"last_message_cursor": CURSOR, "wait": 1})
        with pytest.raises(CoreError) as caught:
            await client.leave_call(caller, "call_none")
        await transport.aclose()
    assert account.document["last_message_cursor"] == CURSOR
    assert sent.document["status"] == "delivered"
    assert core_api.sent == [{"platform": "web", "text": "grüß dich"}]
    assert core_api.seen[2].query["last_message_cursor"] == CURSOR
    assert core_api.seen[0].headers["x-request-id"] == "req-1"
    assert caught.value.problem["code"] == "CALL_NOT_FOUND"


async def test_nobody_listening_is_not_done(caller: Caller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    transport = OverHttp(f"http://127.0.0.1:{port}")
    with pytest.raises(CoreError) as caught:
        await CoreClient(transport).send_dm(caller, {"platform": "web", "text": "hi"})
    await transport.aclose()
    assert (caught.value.problem["code"], caught.value.problem["outcome"]) == ("CORE_UNREACHABLE", "not_done")


async def test_a_connection_that_breaks_leaves_the_outcome_open(caller: Caller) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        transport = OverHttp(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(CoreError) as caught:
            await CoreClient(transport).send_dm(caller, {"platform": "web", "text": "hi"})
        await transport.aclose()
    assert (caught.value.problem["code"], caught.value.problem["outcome"]) == ("CORE_UNREACHABLE", "unknown")
