"""Agents of one account: made, chosen, given connections, deleted."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from chamade_mcp.kit.testing_bots import BOTS
from chamade_mcp.model.ids import AgentId, ConnectionId
from chamade_mcp.store.schema import events
from tests.integration.api.belongings import made
from tests.integration.api.conftest import House, client_of
from tests.support.problems import assert_problem
from tests.support.requirement import requirement
from tests.support.waiting import until


@pytest.fixture
async def second(house: House, person: httpx2.AsyncClient) -> AsyncGenerator[httpx2.AsyncClient]:
    """Calls with the key of another agent."""
    agent = await made(await person.post("/api/agents", json={"name": "Second"}))
    key = await made(await person.post("/api/api-keys", json={"name": "s", "agent_id": agent["id"]}))
    async with client_of(house, **{"x-api-key": key["key"]}) as client:
        yield client


async def agents_of(client: httpx2.AsyncClient) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in (await made(await client.get("/api/agents")))["agents"]}


async def bot(house: House, client: httpx2.AsyncClient, name: str) -> ConnectionId:
    token = house.bots.accept(name)
    asked = {"platform": BOTS, "bot_token": token, "access": "open"}
    connection = ConnectionId((await made(await client.post("/api/bot-tokens", json=asked)))["id"])
    await until(lambda: connection in house.bots.links)
    return connection


async def texts(client: httpx2.AsyncClient) -> list[str]:
    told = await made(await client.get("/api/inbox"))
    return [m["text"] for c in told["conversations"] for m in [c["last_message"]] if m]


async def test_with_one_agent_a_key_does_what_it_did(api: httpx2.AsyncClient) -> None:
    (only,) = (await agents_of(api)).values()
    assert (only["is_default"], only["current"], only["keys"]) == (True, True, 1)
    assert (await api.get("/api/export")).status_code == 200
    made_one = await api.post("/api/agents", json={"name": "Second"})
    assert made_one.status_code == 201
    # From now on it is for one of several.
    assert_problem(await api.post("/api/agents", json={"name": "Third"}), 403, "SESSION_REQUIRED")
    assert_problem(await api.get("/api/export"), 403, "SESSION_REQUIRED")
    assert list(await agents_of(api)) == [only["name"]]


@requirement("R-330")
async def test_there_is_one_default_and_what_is_connected_goes_to_it(
    house: House, person: httpx2.AsyncClient, second: httpx2.AsyncClient
) -> None:
    (own,) = (await agents_of(second)).values()
    first = (await agents_of(person))["AI Agent"]["id"]
    at_first = await bot(house, person, "one")
    await made(await person.patch(f"/api/agents/{own['id']}", json={"is_default": True}))
    found = await agents_of(person)
    assert [name for name, one in found.items() if one["is_default"]] == ["Second"]
    at_second = await bot(house, person, "two")
    found = await agents_of(person)
    ties = {name: [tie["id"] for tie in one["connections"]] for name, one in found.items()}
    assert ties == {"AI Agent": [at_first], "Second": [at_second]}
    assert_problem(await person.delete(f"/api/agents/{own['id']}"), 409, "AGENT_IS_DEFAULT")
    refused = await person.patch(f"/api/agents/{first}", json={"is_default": False})
    assert_problem(refused, 422, "VALIDATION_FAILED")


@requirement("R-329", "R-331")
async def test_what_comes_in_reaches_the_agent_whose_connection_it_is_and_no_other(
    house: House, api: httpx2.AsyncClient, second: httpx2.AsyncClient, person: httpx2.AsyncClient
) -> None:
    connection = await bot(house, second, "helper")
    await house.bots.write(connection, "for the second", sender="ann", name="Ann")
    assert (await texts(second), await texts(api)) == (["for the second"], [])
    cursor = (await made(await second.get("/api/account")))["last_message_cursor"]
    told = await house.gateway.core.accounts.keys._database.read(  # pyright: ignore[reportPrivateUsage]
        lambda conn: conn.execute(select(events.c.agent_id).where(events.c.type == "dm_chat")).scalars().all()
    )
    assert told == [next(iter((await agents_of(second)).values()))["id"]]
    assert_problem(await api.post(f"/api/connections/{connection}/test"), 404, "CONNECTION_NOT_FOUND")

    # Moved: what was said goes along, and what is said from now on.
    first = (await agents_of(person))["AI Agent"]["id"]
    taken = await person.post(f"/api/agents/{first}/connections", json={"connection_id": connection})
    assert [tie["id"] for tie in (await made(taken))["connections"]] == [connection]
    await until(lambda: connection in house.bots.links)
    assert (await texts(second), await texts(api)) == ([], ["for the second"])
    await house.bots.write(connection, "for the first", sender="ann", name="Ann")
    assert (await texts(second), await texts(api)) == ([], ["for the first"])
    said = await made(await api.post("/api/dm/chat", json={"platform": BOTS, "text": "answered"}))
    assert said["status"] in ("sent", "delivered")
    assert (await second.post("/api/dm/chat", json={"platform": BOTS, "text": "not mine"})).is_error
    # Where the second one had been reading there is nothing any more, and nothing is missing.
    polled = await made(await second.get("/api/inbox", params={"last_message_cursor": cursor}))
    assert polled["conversations"] == []
    at_second = await bot(house, second, "other")
    await house.bots.write(at_second, "news", sender="ann", name="Ann")
    polled = await made(await second.get("/api/inbox", params={"last_message_cursor": cursor}))
    assert [m["text"] for c in polled["conversations"] for m in c["messages"]] == ["news"]


async def test_a_browser_looks_after_the_agent_that_was_chosen(
    house: House, person: httpx2.AsyncClient, second: httpx2.AsyncClient
) -> None:
    connection = await bot(house, second, "helper")
    await house.bots.write(connection, "hello", sender="ann", name="Ann")
    (own,) = (await agents_of(second)).values()
    assert await texts(person) == []
    await made(await person.post(f"/api/agents/{own['id']}/choose"))
    assert await texts(person) == ["hello"]
    (shown,) = (await made(await person.get("/api/bot-tokens")))["bot_tokens"]
    assert shown["id"] == connection
    assert_problem(await second.post(f"/api/agents/{own['id']}/choose"), 403, "SESSION_REQUIRED")
    keys = (await made(await person.get("/api/api-keys")))["api_keys"]
    assert {key["agent_name"] for key in keys} == {"AI Agent", "Second"}
    assert {key["name"] for key in (await made(await second.get("/api/api-keys")))["api_keys"]} == {"s"}


async def test_an_agent_goes_with_what_is_its_own(
    house: House, api: httpx2.AsyncClient, person: httpx2.AsyncClient, second: httpx2.AsyncClient
) -> None:
    (own,) = (await agents_of(second)).values()
    connection = await bot(house, second, "helper")
    await house.scripted.write(house.owner.scope, "of the first")
    await house.bots.write(connection, "a secret of the second", sender="ann", name="Ann")
    for client, platform in ((api, "scripted"), (second, BOTS)):
        used = (await made(await client.get("/api/usage")))["total"]
        assert (used["messages_in"], list(used["platforms"])) == (1, [platform])
    await made(await person.post(f"/api/agents/{own['id']}/choose"))
    assert_problem(await person.delete(f"/api/agents/{own['id']}"), 409, "AGENT_HAS_CONNECTIONS")
    await made(await second.delete(f"/api/connections/{connection}"))
    call = await made(await second.post("/api/call", json={"platform": "scripted"}))
    assert_problem(await person.delete(f"/api/agents/{own['id']}"), 409, "CALL_UNDER_WAY")
    await made(await second.delete(f"/api/call/{call['call_id']}"))
    sent = {"name": "note.txt", "mime": "text/plain", "bytes_b64": "c2VjcmV0"}
    file = (await made(await second.post("/api/files", json=sent)))["url"]
    link = await made(await second.post("/api/invite-link", json={}))
    assert (await second.get(link["url"])).status_code == 200
    await made(await person.delete(f"/api/agents/{own['id']}"))

    assert_problem(await second.get("/api/account"), 401, "INVALID_API_KEY")
    assert (await person.get(link["url"])).status_code == 404
    assert (await person.get(file)).status_code == 404
    # The browser that looked after it looks after the default one.
    assert await texts(person) == await texts(api) == ["of the first"]
    kept = (await person.get("/api/export")).text
    assert "a secret of the second" not in kept
    assert str(own["id"]) not in kept
    assert_problem(await person.delete(f"/api/agents/{own['id']}"), 404, "AGENT_NOT_FOUND")


async def test_the_owner_pings_all_agents_and_a_key_its_own(
    api: httpx2.AsyncClient, second: httpx2.AsyncClient, person: httpx2.AsyncClient
) -> None:
    everybody = await made(await person.post("/api/api-keys/ping"))
    assert {one["name"] for one in everybody["keys"]} == {"test", "s"}
    own = await made(await second.post("/api/api-keys/ping"))
    assert [one["name"] for one in own["keys"]] == ["s"]
    assert_problem(await second.get(f"/api/api-keys/ping/{everybody['ping_id']}"), 404, "PING_NOT_FOUND")
    assert_problem(await api.get(f"/api/api-keys/ping/{own['ping_id']}"), 404, "PING_NOT_FOUND")
    await made(await second.post("/api/dm/chat", json={"platform": "chamade_probe", "text": "here"}))
    told = await made(await person.get(f"/api/api-keys/ping/{everybody['ping_id']}"))
    assert {one["name"]: one["verdict"] for one in told["keys"]} == {"test": "waiting", "s": "replied"}
    told = await made(await second.get(f"/api/api-keys/ping/{own['ping_id']}"))
    assert [one["verdict"] for one in told["keys"]] == ["replied"]


async def test_names_are_told_apart_and_the_number_is_limited(person: httpx2.AsyncClient) -> None:
    agent = await made(await person.post("/api/agents", json={"name": "Second"}))
    assert_problem(await person.post("/api/agents", json={"name": "second "}), 409, "AGENT_NAME_TAKEN")
    changed = await made(await person.patch(f"/api/agents/{agent['id']}", json={"name": "SECOND"}))
    assert changed["name"] == "SECOND"
    taken = await person.patch(f"/api/agents/{agent['id']}", json={"name": "ai agent"})
    assert_problem(taken, 409, "AGENT_NAME_TAKEN")
    missing = await person.post("/api/api-keys", json={"name": "k", "agent_id": AgentId("agent_0")})
    assert_problem(missing, 404, "AGENT_NOT_FOUND")
    for number in range(48):
        await made(await person.post("/api/agents", json={"name": f"Agent {number}"}))
    assert_problem(await person.post("/api/agents", json={"name": "more"}), 429, "AGENT_LIMIT_REACHED")
