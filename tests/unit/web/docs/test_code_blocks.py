"""What the documents show as code is code: it can be read, and it asks for what there is."""

import ast
import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import jsonschema
import pytest
import pytest_asyncio
import yaml

from chamade_mcp.app.settings import VARIABLES, Settings, variable_of
from chamade_mcp.app.wiring import build
from chamade_mcp.tools.registry import TOOLS
from chamade_mcp.web.docs.reference import matches, nameless

URL = "https://voice.example.net"
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.M | re.S)
CLIENTS = {"CHAMADE_API_KEY", "CHAMADE_URL", "CHAMADE_MCP_URL"}
"""Variables of programs that use a gateway."""
pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, slots=True)
class Block:
    page: str
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page}:\n{self.code}"


@dataclass(frozen=True, slots=True)
class Told:
    whole: str
    """All pages as Markdown."""
    blocks: list[Block]
    document: dict[str, Any]
    """OpenAPI."""

    def of(self, *languages: str) -> list[Block]:
        found = [block for block in self.blocks if block.language in languages]
        if "sh" in languages:
            found += [block for block in self.blocks if not block.language and "curl " in block.code]
        assert found
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Told]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("gateway"), public_url=URL)
    async with build(settings) as gateway:
        transport = httpx2.ASGITransport(gateway.app)
        async with httpx2.AsyncClient(transport=transport, base_url=URL) as reader:
            whole = (await reader.get("/llms-full.txt")).text
            document = (await reader.get("/openapi.json")).json()
    pages = re.split(r"^---\n\n(?=https://)", whole, flags=re.M)
    blocks = [
        Block(page.partition("\n")[0], language, re.sub(rf"^{indent}", "", code, flags=re.M))
        for page in pages
        for indent, language, code in FENCE.findall(page)
    ]
    yield Told(whole, blocks, document)


async def test_every_block_says_what_it_is(told: Told) -> None:
    known = {"", "sh", "bash", "json", "python", "text", "yaml", "toml"}
    assert [block for block in told.blocks if block.language not in known] == []


async def test_data_can_be_read(told: Told) -> None:
    for block in told.of("json"):
        try:
            json.loads(block.code)
        except ValueError:
            for line in block.code.splitlines():  # events, one a line
                assert isinstance(json.loads(line), dict), str(block)
    for block in told.of("yaml"):
        assert yaml.safe_load(block.code), str(block)


async def test_programs_can_be_compiled(told: Told) -> None:
    for block in told.of("python"):
        compile(block.code, block.page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


async def test_commands_can_be_parsed(told: Told) -> None:
    script = "\n".join(f"one_{at}() {{\n{b.code}\n}}" for at, b in enumerate(told.of("sh", "bash")))
    pipe = asyncio.subprocess.PIPE
    bash = await asyncio.create_subprocess_exec("bash", "-n", stdin=pipe, stderr=pipe)
    assert (await bash.communicate(script.encode()))[1] == b""


async def requests(blocks: list[Block], folder: Path) -> AsyncIterator[tuple[Block, str, str, str | None]]:
    """Method, path and JSON body of what curl is asked for. The shell reads the quotes; nothing is run."""
    names = {name for block in blocks for name in re.findall(r"\$([A-Z_]+)", block.code)}
    stubs = "command_not_found_handle() { return 0; }\ncurl() { printf '%s\\0' \"$@\" '' >&3; }\n"
    for block in blocks:
        bash = await asyncio.create_subprocess_exec(
            "bash", "-c", f"exec 3>&1 >/dev/null; PATH=/nowhere\n{stubs}{block.code}",
            env={name: name for name in names}, cwd=folder, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await bash.communicate()
        for line in out.decode().split("\0\0")[:-1]:
            words = line.split("\0")
            url = next((word for word in words if word.startswith(URL)), "")
            body = next((words[at + 1] for at, word in enumerate(words) if word in ("--json", "-d")), None)
            get = "-G" in words or (body is None and "-F" not in words)
            method = words[words.index("-X") + 1] if "-X" in words else "GET" if get else "POST"
            yield block, method, urlsplit(url).path, None if get else body


async def test_requests_are_such_as_the_api_takes(told: Told, tmp_path: Path) -> None:
    by_shape = {
        nameless(f"{method.upper()} {path}"): operation
        for path, item in told.document["paths"].items()
        for method, operation in item.items()
    }
    seen = 0
    shell = [block for block in told.of("sh", "bash") if "curl " in block.code and "while " not in block.code]
    async for block, method, path, body in requests(shell, tmp_path):
        if path.startswith("/api/"):
            shape = re.sub(r"(?<=/)(?:[A-Z_]+|(?:call|conn|conv|key|msg|whk)_[\w.]+)(?=/|$)", "{}", path)
            meant = (o for known, o in by_shape.items() if matches(known, f"{method} {shape}"))
            operation = by_shape.get(f"{method} {shape}") or next(meant, None)
            assert operation is not None, f"{method} {path} in {block}"
            seen += 1
            if body is not None:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                jsonschema.validate(json.loads(body), {**schema, "components": told.document["components"]})
    assert seen > 90


async def test_operations_tools_and_settings_that_are_named_exist(told: Told) -> None:
    prose = FENCE.sub("", told.whole)
    shapes = {
        nameless(f"{method.upper()} {path}")
        for path, item in told.document["paths"].items()
        for method in item
    }
    served = {"GET /metrics", "POST /revoke", "WS /api/call/{}/stream", "WS /api/inbox/stream"}
    for route in set(re.findall(r"`((?:GET|POST|PATCH|DELETE|WS) /[^`]*)`", prose)):
        shape = nameless(route)
        known = shape in served or any(matches(known, shape) for known in shapes)
        assert known or not shape.split()[1].startswith("/api/"), route
    tools = {tool.name for tool in TOOLS}
    not_tools = {"chamade_mcp", "chamade_probe", "chamade_talk", "chamade_url"}
    assert (
        set(re.findall(r"\bchamade_[a-z_]+\b(?!\.)", told.whole)) - tools - not_tools - metrics(told.whole)
        == set()
    )


def metrics(text: str) -> set[str]:
    return set(re.findall(r"^\| `(chamade_[a-z_]+)` \| [^|]*\| [^|]+ \|$", text, re.M))


async def test_settings_of_examples_exist(told: Told) -> None:
    known = {variable_of(name) for name in VARIABLES} | CLIENTS | {"CHAMADE_AUTH"}
    for block in told.blocks:
        for name in set(re.findall(r"\bCHAMADE_[A-Z_]+\b", block.code)):
            platform = re.match(r"CHAMADE_(?:TELEGRAM|SLACK|WHATSAPP|NCTALK|DISCORD|TEAMS)_", name)
            assert name in known or platform, f"{name} in {block}"
