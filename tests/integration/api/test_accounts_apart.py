"""No operation tells or changes anything of another account, whatever ids it is given."""

import re
from typing import Any

import httpx2

from chamade_mcp.web.docs.samples import example
from tests.integration.api.belongings import BY_TOKEN, NOBODYS, belongings, filled, made
from tests.integration.api.conftest import EMAIL, House, client_of


async def test_no_id_opens_anything_of_another_account(house: House, api: httpx2.AsyncClient) -> None:
    ids = await belongings(house, api)
    document = (await api.get("/openapi.json")).json()
    asked = 0
    before = await kept(api)
    async with client_of(house, **{"x-api-key": await house.other_account()}) as other:
        for path, item in document["paths"].items():
            names = set(re.findall(r"{(\w+)}", path))
            if not names or names & (NOBODYS | BY_TOKEN):
                continue
            assert names <= set(ids), f"{path}: make one of these in this test"
            for method, operation in item.items():
                if operation.get("security") == []:
                    continue
                body = operation.get("requestBody", {}).get("content", {}).get("application/json")
                sent = {"json": example(body["schema"], document)} if body else {}
                answer = await other.request(method.upper(), filled(path, ids), **sent)
                assert (answer.status_code, method, path) == (404, method, path), answer.text
                asked += 1
    assert asked > 30
    assert await kept(api) == before


async def test_no_list_tells_anything_of_another_account(house: House, api: httpx2.AsyncClient) -> None:
    ids = await belongings(house, api)
    document = (await api.get("/openapi.json")).json()
    async with client_of(house, **{"x-api-key": await house.other_account()}) as other:
        for path, item in document["paths"].items():
            if "get" not in item or path in ("/api/events", "/api/live", "/openapi.json"):
                continue
            names = set(re.findall(r"{(\w+)}", path))
            if names & (NOBODYS | BY_TOKEN):
                continue
            if names:
                # These are the ids of something: its owner sees it by them.
                assert (await api.get(filled(path, ids))).status_code != 404, path
                continue
            told = (await other.get(path)).text
            found = {name for name, one in ids.items() if one in told}
            assert found == set(), path
            for mark in ("a secret of the first account", "Mallory", EMAIL, "ben@example.org"):
                assert mark not in told, path


async def kept(api: httpx2.AsyncClient) -> dict[str, Any]:
    """All of the account but how it was used, which looking changes."""
    exported = await made(await api.get("/api/export"))
    for key in exported["api_keys"]:
        del key["last_used_at"]
    return exported
