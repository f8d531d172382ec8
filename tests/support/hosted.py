"""The real gateway on a loopback port in this process, tied to platforms that are emulated beside it."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import httpx2

from chamade_mcp.app.server import Server, listen
from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import build
from chamade_mcp.core.accounts import Accounts
from chamade_mcp.model.ids import Platform
from tests.support.waiting import BOUND_S, until

EMAIL, PASSWORD = "owner@example.org", "correct horse battery"


@dataclass(frozen=True, slots=True)
class Hosted:
    url: str
    api: httpx2.AsyncClient
    """Calls with the key of the first account."""
    accounts: Accounts | None = None
    """Of a gateway that `hosted` opened."""

    @asynccontextmanager
    async def neighbour(self) -> AsyncGenerator["Hosted"]:
        """The same gateway with another account."""
        assert self.accounts is not None
        headers = {"x-api-key": await _key(self.accounts, f"{secrets.token_hex(4)}@example.org")}
        async with httpx2.AsyncClient(base_url=self.url, headers=headers) as api:
            yield replace(self, api=api)

    async def post(self, path: str, expect: int = 200, /, **body: Any) -> dict[str, Any]:
        answer = await self.api.post(path, json=body)
        assert answer.status_code == expect, answer.text
        return answer.json()

    async def get(self, path: str) -> dict[str, Any]:
        answer = await self.api.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def connect(
        self,
        platform: str,
        bot_token: str,
        beside: Mapping[str, str] | None = None,
        /,
        *,
        access: str = "open",
        **settings: str,
    ) -> str:
        """A bot of the account's own, once its link is up; the connection's id. `beside` stands beside the
        token."""
        bot = {"platform": platform, "bot_token": bot_token, "access": access, **(beside or {})}
        made = await self.post("/api/bot-tokens", 200, **bot, settings=settings)
        connection: str = made["id"]
        await self.state(connection, "ok")
        return connection

    async def state(self, connection: str, wanted: str) -> None:
        async def reached() -> bool:
            return (await self.get(f"/api/connections/{connection}"))["status"] == wanted

        await eventually(reached)

    async def conversations(self) -> list[dict[str, Any]]:
        """With their messages."""
        listed = (await self.get("/api/inbox"))["conversations"]
        return [await self.get(f"/api/inbox/{one['conversation_id']}") for one in listed]

    async def shows(self, so: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """The messages of the only conversation, oldest first, once they are `so`."""

        found: list[dict[str, Any]] = []

        async def reached() -> bool:
            (one,) = await self.conversations()
            found[:] = one["messages"]
            return so(found)

        await eventually(reached)
        return found

    async def newest_is(self, status: str) -> None:
        """Waits until the newest message of the only conversation is."""
        await self.shows(lambda messages: messages[-1]["status"] == status)

    async def answer(self, message: Mapping[str, Any], text: str = "", expect: int = 200, **more: Any) -> Any:
        """In the conversation of a message that was `heard`."""
        to = {name: message[name] for name in ("platform", "conversation_id")}
        return await self.post("/api/dm/chat", expect, **to, text=text, **more)

    async def heard(self, count: int = 1) -> list[dict[str, Any]]:
        """What people wrote, once it is so much, oldest first."""

        async def read() -> list[dict[str, Any]]:
            found = [
                {**message, **{name: one[name] for name in ("platform", "conversation_id", "remote_name")}}
                for one in await self.conversations()
                for message in cast("list[dict[str, Any]]", one["messages"])
                if message["direction"] == "inbound"
            ]
            return sorted(found, key=lambda message: message["timestamp"])

        async def enough() -> bool:
            return len(await read()) >= count

        await eventually(enough)
        return await read()


def corrected_and_reacted(messages: list[dict[str, Any]]) -> bool:
    """The person made "first" "first, corrected", and reacted to what came after it."""
    return messages[0]["text"] == "first, corrected" and any(m.get("reactions") for m in messages[1:])


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Waits for an asynchronous condition, within reason."""
    async with asyncio.timeout(BOUND_S):
        while not await condition():  # noqa: ASYNC110 - it is asked over HTTP
            await asyncio.sleep(0.02)


async def _key(accounts: Accounts, email: str) -> str:
    """Of an account, which is made if there is none."""
    owner = await accounts.find_by_email(email)
    if owner is None:
        await accounts.create(email, PASSWORD, verified=True)
        owner = await accounts.find_by_email(email)
        assert owner is not None
    return (await accounts.create_key(owner.scope, "test")).value


@asynccontextmanager
async def hosted(data_dir: Path, platforms: Mapping[str, Mapping[str, str]]) -> AsyncGenerator[Hosted]:
    """`platforms`: what who runs the gateway sets for each, as ``{"telegram": {"api_url": ...}}``.

    In a folder that another one has left, it is the same account.
    """
    listener = listen(Settings(host="127.0.0.1", port=0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    told = {Platform(name): settings for name, settings in platforms.items()}
    async with build(Settings(data_dir=data_dir, public_url=url, platforms=told)) as gateway:
        accounts = gateway.core.accounts
        key = await _key(accounts, EMAIL)
        server = Server(gateway.app, drain=gateway.drain)
        serving = asyncio.create_task(server.serve([listener]))
        await until(lambda: server.started)
        try:
            async with httpx2.AsyncClient(base_url=url, headers={"x-api-key": key}) as api:
                yield Hosted(url, api, accounts)
        finally:
            server.should_exit = True
            await asyncio.wait_for(serving, BOUND_S)
