"""MCP sessions of clients that signed in: they live by the grant, and end with it."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import httpx2
import pytest

from tests.support.oauth import Person, Program
from tests.support.push_client import INITIALIZE
from tests.support.visitors import House
from tests.support.waiting import BOUND_S

JSON = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}
PING: Mapping[str, object] = {"jsonrpc": "2.0", "id": 2, "method": "ping"}


class Session:
    def __init__(self, http: httpx2.AsyncClient, url: str, credential: str) -> None:
        self.http = http
        self.url = f"{url}/mcp/?stateful"
        self.headers = {**JSON, "authorization": f"Bearer {credential}"}

    async def open(self) -> None:
        hello = await self.http.post(self.url, json=INITIALIZE, headers=self.headers)
        assert hello.status_code == 200, hello.text
        self.headers["mcp-session-id"] = hello.headers["mcp-session-id"]

    async def ping(self, credential: str | None = None) -> int:
        more = {} if credential is None else {"authorization": f"Bearer {credential}"}
        return (await self.http.post(self.url, json=dict(PING), headers={**self.headers, **more})).status_code

    @asynccontextmanager
    async def stream(self) -> AsyncGenerator[httpx2.Response]:
        async with self.http.stream("GET", self.url, headers=self.headers) as stream:
            assert stream.status_code == 200
            yield stream


async def read_to_the_end(stream: httpx2.Response) -> None:
    async with asyncio.timeout(BOUND_S):
        async for _ in stream.aiter_bytes():
            pass


async def tokens_of(program: Program, person: Person) -> dict[str, str]:
    return (await program.redeem(await person.answer(program.address()))).json()


async def revoke(house: House, person: Person, program: Program, how: str, tokens: dict[str, str]) -> None:
    async with house.agent() as agent:
        (grant,) = (await agent.get("/api/grants")).json()["grants"]
        if how == "by its person":
            await agent.delete(f"/api/grants/{grant['id']}")
        elif how == "by itself":
            await program.post("/revoke", {"token": tokens["refresh_token"]})


@pytest.mark.parametrize("how", ["by its person", "by itself"])
async def test_revoked_means_the_stream_ends(
    house: House, person: Person, program: Program, how: str
) -> None:
    tokens = await tokens_of(program, person)
    session = Session(program.http, house.url, tokens["access_token"])
    await session.open()
    async with session.stream() as stream:
        assert await session.ping() == 200
        await revoke(house, person, program, how, tokens)
        await read_to_the_end(stream)
    assert await session.ping() == 401
    anew = await tokens_of(program, person)
    assert await session.ping(anew["access_token"]) == 404, "what has ended does not come back"


async def test_a_session_outlives_its_access_token(house: House, person: Person, program: Program) -> None:
    first = await tokens_of(program, person)
    session = Session(program.http, house.url, first["access_token"])
    await session.open()
    second = (await program.refresh(first["refresh_token"])).json()
    assert await session.ping(second["access_token"]) == 200


async def test_a_stolen_session_id_opens_nothing(house: House, person: Person, program: Program) -> None:
    tokens = await tokens_of(program, person)
    session = Session(program.http, house.url, tokens["access_token"])
    await session.open()
    other = Program(program.http, house.url)
    await other.register(client_name="Another")
    theirs = await tokens_of(other, person)
    assert await session.ping(theirs["access_token"]) == 404
    assert await session.ping(house.key) == 404
    assert await session.ping() == 200


async def test_the_twin_takes_keys_and_says_nothing_of_oauth(house: House, program: Program) -> None:
    async def hello(headers: Mapping[str, str]) -> httpx2.Response:
        return await program.http.post(f"{house.url}/mcp-key/", json=INITIALIZE, headers={**JSON, **headers})

    assert (await hello({"x-api-key": house.key})).status_code == 200
    nobody = await hello({})
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, "Bearer")
