"""The official SDK's stdio client, a shim, and the real gateway as `chamade serve` starts it."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import httpx2
import pytest
import pytest_asyncio
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import TextResourceContents

from chamade_mcp.tools.registry import TOOLS
from tests.demo.gateway import RunningGateway, free_port, running_gateway
from tests.support.requirement import requirement
from tests.support.shim import COMMANDS, Shim, environment, running_shim
from tests.support.waiting import until

Document = dict[str, object]


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[RunningGateway]:
    async with running_gateway(tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


@asynccontextmanager
async def client_of(
    twin: str, gateway: RunningGateway, mode: str, *arguments: str, key: str | None = None
) -> AsyncGenerator[Client]:
    variables = {"CHAMADE_URL": gateway.url, "CHAMADE_API_KEY": key or gateway.api_key}
    command, *rest = COMMANDS[twin]
    parameters = StdioServerParameters(
        command=command, args=[*rest, *arguments], env=environment(**variables)
    )
    async with Client(stdio_client(parameters), mode=mode) as client:
        yield client


async def call(client: Client, tool: str, **arguments: object) -> Document:
    result = await client.call_tool(tool, arguments)
    assert result.is_error is False, result.content
    return cast(Document, result.structured_content)


MODES = [
    ("legacy", ()),
    ("auto", ()),
    ("2026-07-28", ()),
    ("legacy", ("--stateful",)),
    ("auto", ("--stateful",)),
]


@requirement("R-258", "R-261", "R-262")
@pytest.mark.parametrize(("mode", "arguments"), MODES)
async def test_the_same_as_over_http(
    twin: str, gateway: RunningGateway, mode: str, arguments: tuple[str, ...]
) -> None:
    async with client_of(twin, gateway, mode, *arguments) as client:
        listed = (await client.list_tools()).tools
        assert [tool.name for tool in listed] == [tool.name for tool in TOOLS]
        templates = (await client.list_resource_templates()).resource_templates
        assert [template.uri_template for template in templates] == ["chamade://calls/{call_id}/transcript"]
        account = await call(client, "chamade_account")
        inbox = asyncio.create_task(
            call(client, "chamade_inbox", last_message_cursor=account["last_message_cursor"], wait=1)
        )
        joined = await call(client, "chamade_call_join", platform="web", agent_name="Ada")
        (content,) = (await client.read_resource(f"chamade://calls/{joined['call_id']}/transcript")).contents
        assert isinstance(content, TextResourceContents)
        left = await call(client, "chamade_call_leave", call_id=joined["call_id"])
        assert left["state"] == "ended"
        assert (await inbox)["conversations"] == []
        missing = await client.call_tool("chamade_call_status", {"call_id": "call_none"})
        assert missing.is_error is True


@requirement("R-260")
async def test_the_endpoint_can_be_named(twin: str, gateway: RunningGateway) -> None:
    variables = {"CHAMADE_MCP_URL": f"{gateway.url}/mcp"}
    async with running_shim(twin, "http://127.0.0.1:1", key=gateway.api_key, **variables) as shim:
        assert "serverInfo" in await shim.initialize()


def innermost(error: BaseException) -> MCPError:
    """What is wrong, out of the groups that the SDK's tasks have put around it."""
    if isinstance(error, BaseExceptionGroup):
        (inner,) = cast("BaseExceptionGroup[BaseException]", error).exceptions
        return innermost(inner)
    assert isinstance(error, MCPError)
    return error


async def test_a_wrong_key_is_told_to_the_client(twin: str, gateway: RunningGateway) -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        async with client_of(twin, gateway, "legacy", key="chmd_aaaaaaaaaa_0000000000"):
            raise AssertionError("the gateway let a wrong key in")
    assert "check CHAMADE_API_KEY" in str(innermost(caught.value))


@asynccontextmanager
async def serving(data_dir: Path, port: int) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A gateway that a test may kill, on data that another has left."""
    command = [str(Path(sys.executable).parent / "chamade"), "serve", "--port", str(port)]
    process = await asyncio.create_subprocess_exec(
        *command,
        "--data-dir",
        str(data_dir),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def a_call(url: str, key: str) -> str:
    """Begin and end one; gives its id. The gateway may still be starting."""
    async with asyncio.timeout(30), httpx2.AsyncClient(base_url=url, headers={"x-api-key": key}) as http:
        while True:
            try:
                created = await http.post("/api/call", json={"platform": "web", "agent_name": "Ada"})
                break
            except httpx2.ConnectError:
                await asyncio.sleep(0.05)
        call_id = created.json()["call_id"]
        await http.delete(f"/api/call/{call_id}")
    return str(call_id)


async def told_of(shim: Shim, call_id: str) -> None:
    await until(lambda: any(call_id in text and '"ended"' in text for text in shim.pushed()), bound_s=20)


async def test_push_outlives_a_gateway_that_is_killed(twin: str, tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as first:
        key = first.api_key
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with running_shim(twin, url, "--stateful", key=key) as shim:
        async with serving(tmp_path, port) as process:
            before = await a_call(url, key)
            await shim.initialize()
            await shim.result(shim.ask("tools/list"))
            await told_of(shim, await a_call(url, key))
            process.kill()
            await process.wait()
            asked = shim.call("chamade_account")
            await shim.said("cannot be reached")
        async with serving(tmp_path, port):
            meanwhile = await a_call(url, key)
            await shim.result(asked)
            await told_of(shim, meanwhile)
            await told_of(shim, await a_call(url, key))
        assert not any(before in text for text in shim.pushed()), "it was over before the session began"
        assert len(shim.pushed()) == len(set(shim.pushed())), "nothing comes twice"


async def test_events_are_pushed(twin: str, gateway: RunningGateway) -> None:
    async with running_shim(twin, gateway.url, "--stateful", key=gateway.api_key) as shim:
        told = await shim.initialize()
        assert "claude/channel" in told["capabilities"]["experimental"]
        await told_of(shim, await a_call(gateway.url, gateway.api_key))
