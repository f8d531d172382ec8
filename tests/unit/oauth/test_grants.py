"""What people have allowed: listed for them alone, asked for again in short, taken back at once."""

import pytest

from chamade_mcp.core.accounts import Accounts
from chamade_mcp.core.grants import Grants
from chamade_mcp.model.errors import Unauthenticated
from chamade_mcp.model.ids import GrantId
from chamade_mcp.store.database import Database
from tests.support.oauth import PASSWORD, Person
from tests.support.problems import assert_problem
from tests.support.requirement import requirement
from tests.unit.oauth.conftest import URL, World, browser


async def key_of(accounts: Accounts, email: str) -> str:
    owner = await accounts.find_by_email(email)
    assert owner is not None
    return (await accounts.create_key(owner.scope, "test")).value


async def listed(world: World, key: str) -> list[dict[str, object]]:
    response = await world.http.get(f"{URL}/api/grants", headers={"x-api-key": key})
    assert response.status_code == 200
    return response.json()["grants"]


@pytest.fixture
async def key(world: World) -> str:
    return await key_of(world.gateway.core.accounts, "owner@example.org")


async def test_a_grant_says_who_may_do_what(world: World, key: str) -> None:
    program = await world.registered()
    tokens = await world.tokens(program, scope="read message")
    (grant,) = await listed(world, key)
    assert grant["client_id"] == program.client_id
    assert (grant["client_name"], grant["client_host"]) == ("A test", None)
    assert (grant["permissions"], grant["agent_name"]) == (["read", "message"], "AI Agent")
    assert grant["last_used_at"] is None
    await world.api(tokens["access_token"])
    (used,) = await listed(world, key)
    assert used["last_used_at"] is not None
    await world.tokens(program, scope="call")
    (wider,) = await listed(world, key)
    assert (wider["id"], wider["permissions"]) == (grant["id"], ["read", "message", "call"])


async def test_what_has_run_out_is_not_listed(world: World, key: str) -> None:
    await world.tokens(await world.registered())
    assert len(await listed(world, key)) == 1
    world.clock.jump(31 * 24 * 3600)
    assert await listed(world, key) == []


async def test_a_code_that_was_never_redeemed_is_no_grant(world: World, key: str) -> None:
    program = await world.registered()
    await world.person.answer(program.address())
    await world.clock.advance(61)
    assert await listed(world, key) == []


@requirement("R-256")
async def test_revoked_is_over_at_once(world: World, key: str) -> None:
    ended: list[GrantId] = []

    async def end(grant: GrantId) -> None:
        ended.append(grant)

    world.gateway.core.grants.on_revoke(end)
    program = await world.registered()
    tokens = await world.tokens(program)
    assert (await world.api(tokens["access_token"])).status_code == 200
    (grant,) = await listed(world, key)
    path = f"{URL}/api/grants/{grant['id']}"
    assert (await world.http.delete(path, headers={"x-api-key": key})).json() == {"status": "ok"}
    after = await world.api(tokens["access_token"])
    assert (after.status_code, after.json()["code"]) == (401, "REVOKED_ACCESS_TOKEN")
    assert (await program.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert ended == [grant["id"]]
    assert await listed(world, key) == []
    twice = await world.http.delete(path, headers={"x-api-key": key})
    assert_problem(twice, 404, "GRANT_NOT_FOUND")
    page = await world.person.question(program.address())
    assert "act as your agent?" in page.text, "what was revoked is asked for in full again"


async def test_a_code_on_its_way_dies_with_the_grant(world: World, key: str) -> None:
    program = await world.registered()
    await world.tokens(program)
    location = await world.person.answer(program.address())
    (grant,) = await listed(world, key)
    await world.http.delete(f"{URL}/api/grants/{grant['id']}", headers={"x-api-key": key})
    assert (await program.redeem(location)).json()["error"] == "invalid_grant"


async def test_others_grants_are_not_there(world: World, key: str) -> None:
    await world.tokens(await world.registered())
    (grant,) = await listed(world, key)
    accounts = world.gateway.core.accounts
    await accounts.create("other@example.org", PASSWORD, verified=True)
    other = await key_of(accounts, "other@example.org")
    assert await listed(world, other) == []
    response = await world.http.delete(f"{URL}/api/grants/{grant['id']}", headers={"x-api-key": other})
    assert_problem(response, 404, "GRANT_NOT_FOUND")
    assert len(await listed(world, key)) == 1


async def test_only_who_may_manage_sees_and_revokes(world: World) -> None:
    tokens = await world.tokens(await world.registered())
    for method, path in (("GET", "/api/grants"), ("DELETE", "/api/grants/grant_x")):
        refused = await world.api(tokens["access_token"], path, method)
        assert_problem(refused, 403, "INSUFFICIENT_PERMISSIONS")


async def test_an_erased_account_takes_its_grants_along(world: World) -> None:
    program = await world.registered()
    tokens = await world.tokens(program)
    accounts = world.gateway.core.accounts
    owner = await accounts.find_by_email("owner@example.org")
    assert owner is not None
    await accounts.delete(owner, PASSWORD)
    assert (await world.api(tokens["access_token"])).status_code == 401
    assert (await program.refresh(tokens["refresh_token"])).status_code == 400


async def test_a_token_is_for_this_address_of_the_gateway(world: World) -> None:
    tokens = await world.tokens(await world.registered())
    database = Database(world.database_path)
    try:
        moved = Grants(database, world.clock, key=b"k", audience="https://elsewhere.example/mcp")
        with pytest.raises(Unauthenticated) as refused:
            await moved.authenticate(tokens["access_token"])
    finally:
        database.close()
    assert refused.value.code == "INVALID_ACCESS_TOKEN"


async def test_one_client_of_two_people_is_two_grants(world: World, key: str) -> None:
    program = await world.registered()
    await world.tokens(program)
    accounts = world.gateway.core.accounts
    await accounts.create("other@example.org", PASSWORD, verified=True)
    async with browser(world.gateway) as http:
        other = Person(http, URL)
        await other.sign_in("other@example.org")
        page = await other.question(program.address())
        assert "act as your agent?" in page.text, "what another person has allowed counts for nothing"
        await other.decide(page)
    mine, theirs = await listed(world, key), await listed(world, await key_of(accounts, "other@example.org"))
    assert (len(mine), len(theirs)) == (1, 1)
    assert mine[0]["id"] != theirs[0]["id"]
