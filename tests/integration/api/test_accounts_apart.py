"""No operation tells or changes anything of another account, whatever ids it is given."""

import httpx2

from tests.integration.api.belongings import aimed, belongings, kept, lists_without
from tests.integration.api.conftest import EMAIL, House, client_of

SECRETS = ("a secret of the first account", "Mallory", EMAIL, "ben@example.org")


async def test_no_id_opens_anything_of_another_account(house: House, api: httpx2.AsyncClient) -> None:
    ids = await belongings(house, api)
    document = (await api.get("/openapi.json")).json()
    asked = 0
    before = await kept(api)
    async with client_of(house, **{"x-api-key": await house.other_account()}) as other:
        for method, path, _, sent in aimed(document, ids):
            answer = await other.request(method, path, **sent)
            assert (answer.status_code, method, path) == (404, method, path), answer.text
            asked += 1
    assert asked > 30
    assert await kept(api) == before


async def test_no_list_tells_anything_of_another_account(house: House, api: httpx2.AsyncClient) -> None:
    ids = await belongings(house, api)
    document = (await api.get("/openapi.json")).json()
    for method, path, _, _ in aimed(document, ids):
        if method == "GET":
            # These are the ids of something: its owner sees it by them.
            assert (await api.get(path)).status_code != 404, path
    async with client_of(house, **{"x-api-key": await house.other_account()}) as other:
        assert await lists_without(other, document, (*ids.values(), *SECRETS)) > 15
