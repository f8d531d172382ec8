"""From a client that nobody knows to a request on its person's behalf, and what breaks that way off."""

import asyncio

import pytest

from chamade_mcp.model.access import Bounds, Permission
from tests.support.oauth import fields_of, parameters_of
from tests.support.requirement import requirement
from tests.unit.oauth.conftest import URL, World

DOCUMENT = "https://client.example/oauth/metadata.json"


def error_of(location: str) -> str:
    told = parameters_of(location)
    assert told["iss"] == URL
    assert "code" not in told
    return told["error"]


@requirement("R-216", "R-251", "R-253")
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
    assert (again.headers["cache-control"], again.headers["pragma"]) == ("no-store", "no-cache")
    assert (await world.api(again.json()["access_token"])).status_code == 200


async def test_a_client_known_by_its_document(world: World) -> None:
    document = {"client_id": DOCUMENT, "client_name": "An editor", "redirect_uris": ["http://localhost/cb"]}
    world.elsewhere.serve(DOCUMENT, document)
    program = world.program(client_id=DOCUMENT, redirect_uri="http://localhost:50123/cb")
    page = await world.person.question(program.address())
    assert "<b>client.example</b>, which vouches for this name" in page.text
    tokens = (await program.redeem((await world.person.decide(page)).headers["location"])).json()
    assert (await world.api(tokens["access_token"])).status_code == 200
    (grant,) = (await world.gateway.core.grants.list(await bounds_of(world)))[:1]
    assert (grant["client_id"], grant["client_host"]) == (DOCUMENT, "client.example")


async def bounds_of(world: World) -> Bounds:
    owner = await world.gateway.core.accounts.find_by_email("owner@example.org")
    assert owner is not None
    return owner.bounds


async def test_for_strangers_no_document_is_fetched(world: World) -> None:
    program = world.program(client_id=DOCUMENT)
    page = await world.person.get(program.address())
    assert page.headers["location"].startswith("/sign-in?next=/authorize")
    assert world.elsewhere.resolved == []


async def test_a_document_inside_our_network_is_not_fetched(world: World) -> None:
    world.elsewhere.names["client.example"] = ("93.184.215.14", "10.0.0.7")
    page = await world.person.question(world.program(client_id=DOCUMENT).address())
    assert page.status_code == 400
    assert "not on the public Internet" in page.text
    assert world.elsewhere.connected == []


async def test_scopes_are_what_was_asked_for_and_no_more(world: World) -> None:
    program = await world.registered()
    reading = await world.tokens(program, scope="read offline_access")
    assert reading["scope"] == "read"
    refused = await world.api(reading["access_token"], "/api/calls", "GET")
    assert refused.status_code == 200
    lacking = await world.http.post(
        f"{URL}/api/dm/typing",
        json={"platform": "web"},
        headers={"authorization": f"Bearer {reading['access_token']}"},
    )
    assert (lacking.status_code, lacking.json()["scope"]) == (403, "message")
    assert lacking.json()["detail"] == "This access token lacks the permission message"
    everything = await world.tokens(program, scope="manage read message call")
    assert everything["scope"] == "read message call manage"


async def test_a_token_cannot_make_a_key_that_would_outlive_it(world: World) -> None:
    tokens = await world.tokens(await world.registered(), scope="manage")
    refused = await world.http.post(
        f"{URL}/api/api-keys",
        json={"name": "for later"},
        headers={"x-api-key": tokens["access_token"]},
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "KEY_OR_SESSION_REQUIRED")


@pytest.mark.parametrize(
    "resource", [f"{URL}/mcp", f"{URL}/mcp/", "https://mcp.voice.example.org/mcp/", None]
)
async def test_the_resource_is_ours_under_any_of_its_names(world: World, resource: str | None) -> None:
    program = await world.registered()
    location = await world.person.answer(program.address(resource=resource))
    more = {} if resource is None else {"resource": resource}
    assert (await program.redeem(location, **more)).status_code == 200


@requirement("R-252")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"scope": "read everything"}, "invalid_scope"),
        ({"resource": "https://other.example/mcp"}, "invalid_target"),
        ({"resource": f"{URL}/mcp#x"}, "invalid_target"),
        ({"resource": f"{URL}/api"}, "invalid_target"),
        ({"resource": "https://voice.example.org.evil.example/mcp"}, "invalid_target"),
        ({"resource": "https://voice.example.org@evil.example/mcp"}, "invalid_target"),
        ({"resource": "http://voice.example.org/mcp"}, "invalid_target"),
        ({"request_uri": "https://evil.example/"}, "request_uri_not_supported"),
        ({"request": "e30."}, "request_not_supported"),
        ({"state": "s" * 2001}, "invalid_request"),
        ({"prompt": "nonsense"}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
    ],
)
async def test_what_the_client_is_told(world: World, changes: dict[str, str | None], code: str) -> None:
    program = await world.registered()
    page = await world.person.get(program.address(**changes))
    assert page.status_code == 303
    location = page.headers["location"]
    assert location.startswith(f"{program.redirect_uri}?")
    assert error_of(location) == code
    if "state" not in changes:
        assert parameters_of(location)["state"] == program.state


async def test_no_prompt_means_no_page_for_those_signed_in_either(world: World) -> None:
    program = await world.registered()
    await world.person.sign_in()
    page = await world.person.get(program.address(prompt="none"))
    assert error_of(page.headers["location"]) == "interaction_required"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "client_unknown"},
        {"client_id": "https://localhost/x"},
        {"redirect_uri": "https://evil.example/cb"},
        {"redirect_uri": "http://127.0.0.1:7777/callback/../other"},
        {"redirect_uri": "http://127.0.0.1:7777@evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1.evil.example:7777/callback"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "//evil.example"},
        {"state": "x" * 5000},
    ],
)
async def test_no_open_redirect(world: World, changes: dict[str, str | None]) -> None:
    program = await world.registered()
    page = await world.person.question(program.address(**changes))
    assert page.status_code == 400
    assert "location" not in page.headers
    assert page.headers["content-type"].startswith("text/html")
    assert "evil" not in page.text


async def test_nobody_is_sent_to_a_site_that_only_registered(world: World) -> None:
    """Anybody may register: a link to the gateway must not open whatever site they like."""
    program = await world.registered(uris=["https://client.example/cb"])
    program.redirect_uri = "https://client.example/cb"
    wrong = program.address(response_type="token")
    page = await world.person.get(wrong)
    assert (page.status_code, "location" in page.headers) == (400, False)
    assert "response_type must be code" in page.text
    await world.person.answer(program.address())
    page = await world.person.get(wrong)
    assert error_of(page.headers["location"]) == "unsupported_response_type", "somebody has said yes to it"


async def test_a_parameter_that_comes_twice_is_nobodys_word(world: World) -> None:
    program = await world.registered()
    page = await world.person.get(program.address() + "&redirect_uri=https%3A%2F%2Fevil.example")
    assert (page.status_code, "location" in page.headers) == (400, False)
    twice = await world.person.get(program.address(resource=f"{URL}/mcp") + "&resource=https%3A%2F%2Fevil")
    assert error_of(twice.headers["location"]) == "invalid_target"


async def test_no_is_no(world: World) -> None:
    program = await world.registered()
    location = await world.person.answer(program.address(), "deny")
    assert error_of(location) == "access_denied"
    assert parameters_of(location)["state"] == program.state
    assert await world.gateway.core.grants.list(await bounds_of(world)) == []


async def test_one_uri_need_not_be_named(world: World) -> None:
    program = await world.registered()
    location = await world.person.answer(program.address(redirect_uri=None))
    assert (await program.redeem(location, redirect_uri="")).status_code == 200


async def test_cursor_registers_three_addresses_at_once(world: World) -> None:
    uris = (
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "https://www.cursor.com/agents/mcp/oauth/callback",
        "http://localhost:8787/callback",
    )
    program = await world.registered(uris=uris)
    for uri in uris:
        program.redirect_uri = uri
        page = await world.person.question(program.address())
        policy = page.headers["content-security-policy"]
        allowed = uri.partition("/oauth")[0].partition("//anysphere")[0].partition("/agents")[0]
        assert f"form-action 'self' {allowed.removesuffix('/callback')}" in policy
        location = (await world.person.decide(page)).headers["location"]
        assert (await program.redeem(location)).status_code == 200


async def test_who_is_not_verified_lets_nobody_in(world: World) -> None:
    await world.gateway.core.accounts.create("new@example.org", "correct horse battery", verified=False)
    await world.person.sign_in("new@example.org")
    page = await world.person.question((await world.registered()).address())
    assert page.status_code == 403


async def test_fifty_refreshes_at_once_get_one_successor(world: World) -> None:
    program = await world.registered()
    tokens = await world.tokens(program)
    answers = await asyncio.gather(*(program.refresh(tokens["refresh_token"]) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    successor = answers[0].json()
    assert successor["refresh_token"] != tokens["refresh_token"]
    assert (await world.api(successor["access_token"])).status_code == 200
    assert (await program.refresh(successor["refresh_token"])).status_code == 200


async def test_permissions_have_words(world: World) -> None:
    program = await world.registered()
    page = await world.person.question(program.address(scope=" ".join(Permission)))
    for label in ("Read", "Write", "Call", "Manage"):
        assert f"<b>{label}</b>" in page.text
    assert set(fields_of(page)) == {"request", "token"}
