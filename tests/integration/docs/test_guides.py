"""The examples of the guides, run as they stand there against a real gateway."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest

from chamade_mcp.tools.registry import TOOLS
from chamade_mcp.web.docs.shelf import source_of
from tests.demo.gateway import free_port
from tests.integration.docs.test_examples import environment, example, guest, running, shell
from tests.support.gateway_process import Process, gateway_process
from tests.support.visitors import House, open_house
from tests.support.waiting import BOUND_S

LOOP_S = 60.0
"""Each turn of the loop starts five programs, which a busy machine takes its time for."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House]:
    async with open_house(tmp_path) as house:
        yield house


def hello(text: str) -> str:
    return json.dumps({"type": "chat", "key": text[:64], "text": text, "attachments": []})


async def printed(script: str, env: dict[str, str]) -> str:
    async with running("bash", "-euc", script, env=env) as process:
        out, err = await asyncio.wait_for(process.communicate(), BOUND_S)
    assert process.returncode == 0, (out, err)
    return out.decode()


async def test_an_agent_is_sent_to_the_documents(house: House) -> None:
    told = await printed(example("read-docs", "docs/README.md"), environment(house))
    assert told.startswith("# Chamade\n")
    assert "# Agents that poll" in told
    assert "# Errors" in told
    assert house.url in told


async def test_the_first_agent_by_hand(house: House) -> None:
    env = environment(house)
    (invite,) = await shell(example("first-link", "docs/first-agent.md"), env)
    async with guest(invite["url"]) as person:
        await person.send(hello("Is anybody there?"))
        async with asyncio.timeout(BOUND_S):
            while json.loads(await person.recv())["type"] != "ack":
                pass
        inbox, sent = await shell(example("first-answer", "docs/first-agent.md"), env)
    assert inbox["conversations"][0]["messages"][0]["text"] == "Is anybody there?"
    assert sent["status"] == "delivered"


async def test_a_program_without_mcp(house: House) -> None:
    (account,) = await shell(example("without-mcp", "docs/clients.md"), environment(house))
    assert account["platforms"]["web"]["status"] == "ok"


async def test_usage_and_limits(house: House) -> None:
    (used,) = await shell(example("usage", "docs/usage.md"), environment(house))
    (limits,) = await shell(example("limits", "docs/usage.md"), environment(house))
    assert len(used["days"]) == 7
    text = source_of("docs/usage.md")
    assert text is not None
    assert [one["name"] for one in limits["limits"] if f"`{one['name']}`" not in text] == []


async def test_a_call_from_joining_to_hanging_up(house: House) -> None:
    (call,) = await shell(example("join", "docs/calls.md"), environment(house))
    sent, seen, ended = await shell(
        example("in-call", "docs/calls.md"), environment(house, CALL_ID=call["call_id"])
    )
    assert seen["state"] == "active"
    assert ended["state"] == "ended"
    assert sent["status"]


async def test_the_loop_hears_every_message_once(house: House) -> None:
    (invite,) = await shell(example("first-link", "docs/first-agent.md"), environment(house))
    script = example("poll-loop", "docs/polling.md")
    async with guest(invite["url"]) as person, running("bash", "-c", script, env=environment(house)) as loop:
        assert loop.stdout is not None
        async with asyncio.timeout(LOOP_S):
            # It hears what comes after it has asked for its place: until then somebody says something again.
            first, said = asyncio.create_task(loop.stdout.readline()), 0
            while not first.done():
                said += 1
                await person.send(hello(str(said)))
                await asyncio.wait({first}, timeout=2)
            heard = [json.loads(await first)["text"]]
            while heard[-1] != str(said):
                heard.append(json.loads(await loop.stdout.readline())["text"])
        assert heard == [str(n) for n in range(int(heard[0]), said + 1)]


async def test_a_backup_is_a_gateway_again(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    async with gateway_process(data) as gateway:
        async with httpx2.AsyncClient(base_url=gateway.url, headers={"x-api-key": gateway.key}) as api:
            sent = await api.post(
                "/api/files", json={"bytes_b64": "aGVsbG8=", "name": "a.txt", "mime": "text/plain"}
            )
            assert sent.status_code in (200, 201)
            script = example("backup", "docs/backup.md")
            await printed(script, {"DATA": str(data), "COPY": str(copy), "PATH": "/usr/bin:/bin"})
        key = gateway.key
    assert oct(copy.stat().st_mode & 0o777) == "0o700"
    restored = Process("serve", copy)
    try:
        await restored.start()
        async with httpx2.AsyncClient(base_url=restored.url, headers={"x-api-key": key}) as api:
            assert (await api.get("/api/account")).status_code == 200
            assert (await api.get(httpx2.URL(sent.json()["url"]).path)).text == "hello"
    finally:
        await restored.kill()


async def test_metrics_are_read(tmp_path: Path) -> None:
    port = str(free_port())
    async with gateway_process(tmp_path / "data", CHAMADE_METRICS_PORT=port):
        told = await printed(
            example("metrics", "docs/metrics.md"), {"CHAMADE_METRICS_PORT": port, "PATH": "/usr/bin:/bin"}
        )
    names = set(re.findall(r"^# TYPE (\w+)", told, re.M))
    page = (Path(__file__).parents[3] / "docs/metrics.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(chamade_\w+)` \|", page, re.M)) == names


def test_the_starter_prompt_names_tools_and_arguments_that_exist() -> None:
    prompt = example("starter-prompt", "docs/polling.md")
    known = {tool.name: tool.input_schema for tool in TOOLS}
    named = set(re.findall(r"\bchamade_\w+", prompt)) - {"chamade_probe"}
    assert {"chamade_account", "chamade_inbox", "chamade_dm_chat", "chamade_call_list"} <= named <= set(known)
    assert {"last_message_cursor", "wait"} <= set(known["chamade_inbox"]["properties"])  # pyright: ignore
    assert {"keep_typing", "conversation_id"} <= set(known["chamade_dm_chat"]["properties"])  # pyright: ignore


@pytest.mark.parametrize(
    "document",
    sorted(
        str(p.relative_to(Path(__file__).parents[3]))
        for p in (Path(__file__).parents[3] / "docs").glob("*.md")
    ),
)
def test_every_marked_example_is_run_here(document: str) -> None:
    root = Path(__file__).parents[3]
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    for name in re.findall(r"<!-- example: (\S+) -->", (root / document).read_text(encoding="utf-8")):
        assert f'example("{name}"' in tests, name
