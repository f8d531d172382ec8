"""From a client that nobody knows to a tool call, and everything on the way that must not work."""

import pytest

from tests.unit.oauth.conftest import World


@pytest.mark.parametrize("method", ["none", "client_secret_basic", "client_secret_post"])
async def test_the_whole_way(world: World, method: str) -> None:
    program = await world.registered(method)
    tokens = await world.tokens(program)
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 3600
    assert tokens["scope"] == "read message call"
    assert (await world.api(tokens["access_token"])).status_code == 200
    again = await program.refresh(tokens["refresh_token"])
    assert again.status_code == 200
    assert again.headers["cache-control"] == "no-store"
    assert (await world.api(again.json()["access_token"])).status_code == 200
