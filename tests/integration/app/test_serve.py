"""`chamade` as people run it: real processes, a data folder of their own, a free port."""

import asyncio
import json
import os
import re
import signal
import stat
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest

CHAMADE = Path(sys.executable).parent / "chamade"
START_S = 60.0  # on a machine that runs all the other tests too
Process = asyncio.subprocess.Process


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str


async def chamade(data_dir: Path, *arguments: str, say: str = "", **settings: str) -> Done:
    process = await start(data_dir, *arguments, **settings)
    out, err = await asyncio.wait_for(process.communicate(say.encode()), START_S)
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


async def start(data_dir: Path, *arguments: str, **settings: str) -> Process:
    return await asyncio.create_subprocess_exec(
        CHAMADE,
        *arguments,
        env={**os.environ, "CHAMADE_DATA_DIR": str(data_dir), **settings},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@dataclass
class Serving:
    process: Process
    url: str
    printed: list[str] = field(default_factory=list[str])

    @property
    def key(self) -> str:
        found = re.search(r"Bearer (chmd_\w+)", "".join(self.printed))
        assert found is not None, self.printed
        return found[1]

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """The exit code, and what stood on standard error."""
        self.process.send_signal(number)
        _, err = await asyncio.wait_for(self.process.communicate(), START_S)
        assert self.process.returncode is not None
        return self.process.returncode, err.decode()


@asynccontextmanager
async def serving(data_dir: Path, **settings: str) -> AsyncGenerator[Serving]:
    """Inside, the server has said that it is ready."""
    process = await start(data_dir, "serve", "--port", "0", **settings)
    try:
        assert process.stdout is not None
        printed: list[str] = []
        async with asyncio.timeout(START_S):
            # The last line of either greeting.
            while not re.search(r"claude mcp add|chamade key create", "".join(printed)):
                line = (await process.stdout.readline()).decode()
                assert line, (await process.communicate())[1].decode()
                printed.append(line)
        found = re.search(r"http://127\.0\.0\.1:\d+", "".join(printed))
        assert found is not None, printed
        yield Serving(process, found[0], printed)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_the_first_start_tells_how_to_get_in_and_later_ones_tell_no_secret(tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as first, httpx2.AsyncClient(base_url=first.url) as http:
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        assert (await http.get("/readyz")).status_code == 200
        account = await http.get("/api/account", headers={"x-api-key": first.key})
        assert account.status_code == 200
        assert (await http.get("/api/account")).status_code == 401
        assert await first.stop() == (0, ANY_LOG)
    async with serving(tmp_path / "data") as second, httpx2.AsyncClient(base_url=second.url) as http:
        assert "chmd_" not in "".join(second.printed)
        account = await http.get("/api/account", headers={"x-api-key": first.key})
        assert account.status_code == 200


class _AnyLog:
    """Equal to log lines of which none is a warning, an error or a traceback."""

    def __eq__(self, other: object) -> bool:
        lines = str(other).splitlines()
        return all(re.match(r"\d\d:\d\d:\d\d INFO ", line) for line in lines)

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "<only INFO lines>"


ANY_LOG = _AnyLog()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_ends_a_long_poll_and_exits_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    async with serving(tmp_path / "data") as gateway, httpx2.AsyncClient(base_url=gateway.url) as http:
        headers = {"x-api-key": gateway.key}
        cursor = (await http.get("/api/account", headers=headers)).json()["last_message_cursor"]
        query = urlencode({"last_message_cursor": cursor, "wait": 55})
        reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]))
        writer.write(
            f"GET /api/inbox?{query} HTTP/1.1\r\nHost: x\r\nX-API-Key: {gateway.key}\r\n\r\n".encode()
        )
        await writer.drain()
        # Answered after the poll's bytes were there: the server has read them.
        assert (await http.get("/healthz")).status_code == 200
        async with asyncio.timeout(10):
            code, err = await gateway.stop(number)
            answer = await reader.read()
        writer.close()
        assert code == 0
        assert err == ANY_LOG
        assert re.match(rb"HTTP/1.1 (200|503) ", answer)


async def test_nothing_written_before_a_kill_is_lost(tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as gateway:
        made = await chamade(
            tmp_path / "data", "key", "create", "--account", "owner@localhost", "--name", "k"
        )
        assert made.code == 0
        code, _ = await gateway.stop(signal.SIGKILL)
        assert code == -signal.SIGKILL
    async with serving(tmp_path / "data") as again, httpx2.AsyncClient(base_url=again.url) as http:
        answer = await http.get("/api/account", headers={"x-api-key": made.out.strip()})
        assert answer.status_code == 200


async def test_one_data_folder_serves_once(tmp_path: Path) -> None:
    async with serving(tmp_path / "data"):
        second = await chamade(tmp_path / "data", "serve", "--port", "0")
    assert second.code == 2
    assert second.err.startswith("CHAMADE_DATA_DIR: another gateway is serving from ")
    assert second.err.count("\n") == 1


async def test_keys_are_made_beside_a_running_server(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with serving(data) as gateway, httpx2.AsyncClient(base_url=gateway.url) as http:
        made = await chamade(
            data, "key", "create", "--account", "owner@localhost", "--name", "reads", "--permissions", "read"
        )
        assert made.code == 0
        assert made.err == ""
        assert re.fullmatch(r"chmd_\w+\n", made.out)
        headers = {"x-api-key": made.out.strip()}
        assert (await http.get("/api/account", headers=headers)).status_code == 200
        refused = await http.post("/api/call", headers=headers, json={"platform": "web"})
        assert refused.status_code == 403
        checked = await chamade(data, "doctor", CHAMADE_PORT=gateway.url.rpartition(":")[2])
        assert checked.code == 0, checked.out
        assert "the gateway answers on" in checked.out


async def test_a_key_is_for_the_agent_that_is_named(tmp_path: Path) -> None:
    data, create = tmp_path / "data", ("key", "create", "--account", "owner@localhost", "--name", "k")
    async with serving(data) as gateway, httpx2.AsyncClient(base_url=gateway.url) as http:
        headers = {"x-api-key": gateway.key}
        made = await http.post("/api/agents", headers=headers, json={"name": "Support"})
        assert made.status_code == 201
        key = await chamade(data, *create, "--agent", "support")
        assert (key.code, key.err) == (0, "")
        listed = await http.get("/api/agents", headers={"x-api-key": key.out.strip()})
        assert [agent["name"] for agent in listed.json()["agents"]] == ["Support"]
    unknown = await chamade(data, *create, "--agent", "Sales")
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.err == "There is no agent 'Sales' in this account; there are 'AI Agent', 'Support'\n"


async def test_an_account_made_by_hand_needs_no_greeting(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made = await chamade(data, "account", "create", "--email", "a@x.org", "--verified", say="pass-word-1\n")
    assert (made.code, made.out) == (0, "")
    again = await chamade(data, "account", "create", "--email", "A@X.org", say="pass-word-1\n")
    assert (again.code, again.err.count("\n")) == (1, 1)
    async with serving(data) as gateway:
        assert "chmd_" not in "".join(gateway.printed)


async def test_a_key_needs_an_account_that_is_verified(tmp_path: Path) -> None:
    nobody = await chamade(tmp_path, "key", "create", "--account", "a@x.org", "--name", "k")
    assert (nobody.code, nobody.out) == (1, "")
    assert "chamade account create --email a@x.org" in nobody.err
    await chamade(tmp_path, "account", "create", "--email", "a@x.org", "--password", "pass-word-1")
    refused = await chamade(tmp_path, "key", "create", "--account", "a@x.org", "--name", "k")
    assert (refused.code, refused.out) == (1, "")
    assert "Verify" in refused.err


@pytest.mark.parametrize(
    ("settings", "arguments", "line"),
    [
        ({"CHAMADE_PROT": "1"}, ("serve",), "CHAMADE_PROT: no such setting; did you mean CHAMADE_PORT?"),
        ({"CHAMADE_PORT": "x"}, ("serve",), "CHAMADE_PORT: "),
        ({"CHAMADE_SECRET_KEY_FILE": "/none"}, ("serve",), "CHAMADE_SECRET_KEY_FILE: cannot read /none"),
        (
            {"CHAMADE_REDIS_URL": "redis://x"},
            ("doctor",),
            "CHAMADE_REDIS_URL: this version runs in one process",
        ),
        ({}, ("serve", "--port", "70000"), "--port: "),
        ({}, ("serve", "--host", "no-such-host.invalid"), "CHAMADE_HOST: cannot resolve"),
        ({}, ("key", "create", "--account", "a", "--name", "b", "--expires", "soon"), "--expires: 'soon'"),
    ],
)
async def test_what_was_asked_wrongly_is_one_line_and_exit_code_2(
    tmp_path: Path, settings: dict[str, str], arguments: tuple[str, ...], line: str
) -> None:
    done = await chamade(tmp_path / "data", *arguments, **settings)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(line)
    assert done.err.count("\n") == 1


async def test_the_secret_key_is_kept_for_its_owner(tmp_path: Path) -> None:
    async with serving(tmp_path / "data"):
        path = tmp_path / "data" / "secret.key"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_the_document_is_printed_without_leaving_anything(tmp_path: Path) -> None:
    done = await chamade(tmp_path / "data", "openapi")
    assert (done.code, done.err) == (0, "")
    assert "/api/account" in json.loads(done.out)["paths"]
    assert os.listdir(tmp_path) == []  # noqa: PTH208


async def test_the_platforms_are_listed(tmp_path: Path) -> None:
    done = await chamade(tmp_path / "data", "connectors")
    assert done.code == 0
    assert re.search(r"^web +Web room .* installed *$", done.out, re.M)


async def test_the_version_is_printed_alone(tmp_path: Path) -> None:
    done = await chamade(tmp_path, "--version")
    assert done.code == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", done.out)


async def test_the_command_line_opens_an_account(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with serving(data) as gateway, httpx2.AsyncClient(base_url=gateway.url) as http:
        printed = re.search(r"http\S+/welcome/\S+", "".join(gateway.printed))
        assert printed is not None
        made = await chamade(data, "account", "link", CHAMADE_PUBLIC_URL=gateway.url)
        assert (made.code, made.err) == (0, "")
        assert (await http.get(made.out.strip())).status_code == 200
        assert (await http.get(printed[0])).status_code == 410, "the newer link replaces it"
        nobody = await chamade(data, "account", "link", "--email", "ben@example.org")
        assert (nobody.code, nobody.out) == (1, "")
        await chamade(
            data, "account", "create", "--email", "ann@example.org", "--password", "a few good words"
        )
        forgotten = await chamade(
            data, "account", "link", "--email", "ann@example.org", CHAMADE_PUBLIC_URL=gateway.url
        )
        assert (await http.get(forgotten.out.strip())).status_code == 200
        assert "/new-password/" in forgotten.out
