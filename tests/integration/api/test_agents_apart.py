"""No operation tells or changes anything of another agent of the same account, whatever ids it is given."""

import httpx2

from tests.integration.api.belongings import aimed, belongings, kept, lists_without, made
from tests.integration.api.conftest import House, client_of
from tests.support.requirement import requirement

SECRETS = ("a secret of the first account", "Mallory")
OF_THE_ACCOUNT = frozenset({"sign_in_id", "passkey_id", "invitation_id", "agent_id"})
"""What concerns every agent: a key of one is told so."""


async def second_agent(person: httpx2.AsyncClient) -> dict[str, str]:
    agent = await made(await person.post("/api/agents", json={"name": "Second"}))
    key = await made(await person.post("/api/api-keys", json={"name": "s", "agent_id": agent["id"]}))
    assert key["agent_id"] == agent["id"]
    return {"agent": agent["id"], "key": key["key"]}


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
        for method, path, names, sent in aimed(document, ids):
            answer = await other.request(method, path, **sent)
            shut = {403, 404} if names & OF_THE_ACCOUNT else {404}
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
    async with client_of(house, **{"x-api-key": second["key"]}) as other:
        assert await lists_without(other, document, (*ids.values(), *SECRETS)) > 15
