"""No operation tells or changes anything of another agent of the same account, whatever ids it is given."""

import re
from typing import Any

import httpx2

from chamade_mcp.web.docs.samples import example
from tests.integration.api.belongings import BY_TOKEN, NOBODYS, belongings, filled, made
from tests.integration.api.conftest import House, client_of
from tests.support.requirement import requirement

SECRETS = ("a secret of the first account", "Mallory")
OF_THE_ACCOUNT = ("sign_in_id", "passkey_id", "invitation_id", "agent_id")
"""What concerns every agent: a key of one is told so."""


async def second_agent(person: httpx2.AsyncClient) -> dict[str, str]:
    agent = await made(await person.post("/api/agents", json={"name": "Second"}))
    key = await made(await person.post("/api/api-keys", json={"name": "s", "agent_id": agent["id"]}))
    assert key["agent_id"] == agent["id"]
    return {"agent": agent["id"], "key": key["key"]}


async def kept(person: httpx2.AsyncClient) -> dict[str, Any]:
    exported = await made(await person.get("/api/export"))
    for key in exported["api_keys"]:
        del key["last_used_at"]
    return exported


@requirement("R-329")
async def test_no_id_opens_anything_of_another_agent(
    house: House, api: httpx2.AsyncClient, person: httpx2.AsyncClient
) -> None:
    ids = await belongings(house, api)
    second = await second_agent(person)
    document = (await api.get("/openapi.json")).json()
    asked = 0
    before = await kept(person)
    async with client_of(house, **{"x-api-key": second["key"]}) as other:
        for path, item in document["paths"].items():
            names = set(re.findall(r"{(\w+)}", path))
            if not names or names & (NOBODYS | BY_TOKEN):
                continue
            assert names <= set(ids), f"{path}: make one of these in `belongings`"
            for method, operation in item.items():
                if operation.get("security") == []:
                    continue
                body = operation.get("requestBody", {}).get("content", {}).get("application/json")
                sent = {"json": example(body["schema"], document)} if body else {}
                answer = await other.request(method.upper(), filled(path, ids), **sent)
                shut = {403, 404} if names & set(OF_THE_ACCOUNT) else {404}
                assert answer.status_code in shut, f"{method} {path}: {answer.text}"
                if answer.status_code == 403:
                    assert answer.json()["code"] == "SESSION_REQUIRED", path
                asked += 1
    assert asked > 30
    assert await kept(person) == before


@requirement("R-329")
async def test_no_list_tells_anything_of_another_agent(
    house: House, api: httpx2.AsyncClient, person: httpx2.AsyncClient
) -> None:
    ids = await belongings(house, api)
    second = await second_agent(person)
    document = (await api.get("/openapi.json")).json()
    asked = 0
    async with client_of(house, **{"x-api-key": second["key"]}) as other:
        for path, item in document["paths"].items():
            if "get" not in item or "{" in path or path in ("/api/events", "/api/live", "/openapi.json"):
                continue
            told = (await other.get(path)).text
            found = {name for name, one in ids.items() if one in told}
            assert found == set(), path
            for mark in SECRETS:
                assert mark not in told, path
            asked += 1
    assert asked > 15
