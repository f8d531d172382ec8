"""Codes and tokens: used once, for one client, for a time, and what becomes of copies."""

import logging

import httpx2
import pytest

from chamade_mcp.app.wiring import Gateway
from chamade_mcp.model.ids import GrantId
from tests.support.oauth import Program, parameters_of
from tests.support.requirement import requirement
from tests.unit.oauth.conftest import URL, World

DAY = 24 * 3600.0


def assert_refused(response: httpx2.Response, code: str, status: int = 400) -> None:
    assert (response.status_code, response.json()["error"]) == (status, code), response.text
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["error_description"]


def revocations(gateway: Gateway) -> list[GrantId]:
    ended: list[GrantId] = []

    async def end(grant: GrantId) -> None:
        ended.append(grant)

    gateway.core.grants.on_revoke(end)
    return ended


async def works(world: World, token: str) -> bool:
    response = await world.api(token)
    assert response.status_code in (200, 401)
    return response.status_code == 200


# --- codes -------------------------------------------------------------------------------------------------


async def test_a_code_that_comes_again_ends_all_that_came_of_it(world: World) -> None:
    ended = revocations(world.gateway)
    program = await world.registered()
    location = await world.person.answer(program.address())
    tokens = (await program.redeem(location)).json()
    assert await works(world, tokens["access_token"])
    assert_refused(await program.redeem(location), "invalid_grant")
    assert not await works(world, tokens["access_token"])
    assert_refused(await program.refresh(tokens["refresh_token"]), "invalid_grant")
    assert len(ended) == 1


@pytest.mark.parametrize("verifier", ["x" * 43, "", "plain"])
async def test_a_tampered_verifier_spoils_the_code(world: World, verifier: str) -> None:
    program = await world.registered()
    location = await world.person.answer(program.address())
    code = "invalid_grant" if verifier else "invalid_request"
    assert_refused(await program.redeem(location, code_verifier=verifier), code)
    if verifier:
        assert_refused(await program.redeem(location), "invalid_grant")


async def test_the_challenge_itself_is_no_verifier(world: World) -> None:
    program = await world.registered()
    location = await world.person.answer(program.address())
    assert_refused(await program.redeem(location, code_verifier=program.challenge), "invalid_grant")


async def test_a_code_is_for_its_client_and_its_address(world: World) -> None:
    program, thief = await world.registered(), await world.registered()
    location = await world.person.answer(program.address())
    thief.verifier, thief.state = program.verifier, program.state
    assert_refused(await thief.redeem(location), "invalid_grant")
    assert (await program.redeem(location)).status_code == 200
    location = await world.person.answer(program.address())
    elsewhere = await program.redeem(location, redirect_uri="http://127.0.0.1:1/callback")
    assert_refused(elsewhere, "invalid_grant")


async def test_a_code_lives_a_minute(world: World) -> None:
    program = await world.registered()
    location = await world.person.answer(program.address())
    await world.clock.advance(61)
    assert_refused(await program.redeem(location), "invalid_grant")


async def test_a_code_is_for_our_resource(world: World) -> None:
    program = await world.registered()
    location = await world.person.answer(program.address())
    assert_refused(await program.redeem(location, resource="https://other.example/mcp"), "invalid_target")


# --- access tokens -----------------------------------------------------------------------------------------


@requirement("R-254")
async def test_an_access_token_lives_an_hour(world: World) -> None:
    tokens = await world.tokens(await world.registered())
    world.clock.jump(3599)
    assert await works(world, tokens["access_token"])
    await world.clock.advance(2)
    expired = await world.api(tokens["access_token"])
    assert (expired.status_code, expired.json()["code"]) == (401, "EXPIRED_ACCESS_TOKEN")
    assert expired.headers["www-authenticate"].startswith("Bearer")


async def test_an_access_token_works_wherever_a_key_does(world: World) -> None:
    token = (await world.tokens(await world.registered()))["access_token"]
    by_header = await world.http.get(f"{URL}/api/account", headers={"x-api-key": token})
    assert by_header.status_code == 200


@pytest.mark.parametrize("token", ["chmo_", "chmo_" + "a" * 43, "chmo_" + "a" * 500, "chmo_ä"])
async def test_what_is_no_token(world: World, token: str) -> None:
    response = await world.http.get(f"{URL}/api/account", headers=[(b"x-api-key", token.encode("latin-1"))])
    assert (response.status_code, response.json()["code"]) == (401, "INVALID_ACCESS_TOKEN")


async def test_refresh_tokens_and_codes_open_nothing(world: World) -> None:
    program = await world.registered()
    location = await world.person.answer(program.address())
    tokens = (await program.redeem(location)).json()
    for secret in (tokens["refresh_token"], parameters_of(location)["code"], "chmo_" + "b" * 43):
        assert not await works(world, secret)
    assert_refused(await program.refresh(tokens["access_token"]), "invalid_grant")


# --- refresh tokens ----------------------------------------------------------------------------------------


@requirement("R-255")
async def test_within_the_grace_the_same_again_and_after_it_the_end(world: World) -> None:
    ended = revocations(world.gateway)
    program = await world.registered()
    first = await world.tokens(program)
    second = (await program.refresh(first["refresh_token"])).json()
    await world.clock.advance(44)
    again = (await program.refresh(first["refresh_token"])).json()
    assert (again["access_token"], again["refresh_token"]) == (
        second["access_token"],
        second["refresh_token"],
    )
    assert again["expires_in"] == 3600 - 44
    third = (await program.refresh(second["refresh_token"])).json()
    await world.clock.advance(2)
    assert_refused(await program.refresh(first["refresh_token"]), "invalid_grant")
    assert_refused(await program.refresh(third["refresh_token"]), "invalid_grant")
    assert not await works(world, third["access_token"])
    assert len(ended) == 1


async def test_one_stolen_family_does_not_end_another(world: World) -> None:
    ended = revocations(world.gateway)
    program = await world.registered()
    laptop, desktop = await world.tokens(program), await world.tokens(program)
    await program.refresh(laptop["refresh_token"])
    await world.clock.advance(60)
    assert_refused(await program.refresh(laptop["refresh_token"]), "invalid_grant")
    assert await works(world, desktop["access_token"])
    assert ended == []


async def test_a_refresh_token_is_for_its_client(world: World) -> None:
    program, thief = await world.registered(), await world.registered()
    tokens = await world.tokens(program)
    assert_refused(await thief.refresh(tokens["refresh_token"]), "invalid_grant")
    assert (await program.refresh(tokens["refresh_token"])).status_code == 200


@requirement("R-254")
async def test_thirty_days_are_the_end_however_often_it_is_renewed(world: World) -> None:
    program = await world.registered()
    tokens = await world.tokens(program)
    for _ in range(29):
        world.clock.jump(DAY)
        tokens = (await program.refresh(tokens["refresh_token"])).json()
    world.clock.jump(DAY - 600)
    tokens = (await program.refresh(tokens["refresh_token"])).json()
    assert tokens["expires_in"] == 600
    world.clock.jump(601)
    assert not await works(world, tokens["access_token"])
    assert_refused(await program.refresh(tokens["refresh_token"]), "invalid_grant")


async def test_scopes_can_be_narrowed_for_a_while_but_never_widened(world: World) -> None:
    program = await world.registered()
    tokens = await world.tokens(program)
    assert_refused(await program.refresh(tokens["refresh_token"], scope="read manage"), "invalid_scope")
    narrow = (await program.refresh(tokens["refresh_token"], scope="read")).json()
    assert narrow["scope"] == "read"
    wide = (await program.refresh(narrow["refresh_token"], scope="offline_access")).json()
    assert wide["scope"] == "read message call"


async def test_a_client_without_refresh_tokens_gets_none(world: World) -> None:
    program = world.program()
    await program.register(grant_types=["authorization_code"])
    tokens = await world.tokens(program)
    assert "refresh_token" not in tokens


# --- who asks ----------------------------------------------------------------------------------------------


async def test_a_client_proves_its_secret(world: World) -> None:
    program = await world.registered("client_secret_post")
    location = await world.person.answer(program.address())
    program.secret = "chms_wrong"
    assert_refused(await program.redeem(location), "invalid_client", 401)
    program.secret = None
    assert_refused(await program.redeem(location), "invalid_client", 401)
    public = await world.registered()
    public.secret = "chms_made_up"
    assert_refused(await public.refresh("chmr_" + "a" * 43), "invalid_client", 401)


async def test_basic_is_answered_with_basic(world: World) -> None:
    program = await world.registered("client_secret_basic")
    program.secret = "wrong"
    refused = await program.refresh("chmr_" + "a" * 43)
    assert_refused(refused, "invalid_client", 401)
    assert refused.headers["www-authenticate"].startswith("Basic")
    for header in ("Basic ?", "Basic " + "é", "Digest x", "Basic Og=="):
        headers = [(b"authorization", header.encode("latin-1"))]
        answer = await world.http.post(f"{URL}/token", data={"grant_type": "x"}, headers=headers)
        assert_refused(answer, "invalid_client", 401)
    both = await program.post("/token", {"grant_type": "refresh_token", "client_secret": "x"})
    assert_refused(both, "invalid_request")


@pytest.mark.parametrize(
    ("form", "code", "status"),
    [
        ({}, "invalid_request", 400),
        ({"grant_type": "password"}, "unsupported_grant_type", 400),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type", 400),
        ({"grant_type": "authorization_code"}, "invalid_request", 400),
        ({"grant_type": "authorization_code", "code": "x", "code_verifier": "y"}, "invalid_grant", 400),
        ({"grant_type": "refresh_token"}, "invalid_request", 400),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant", 400),
        ({"grant_type": "refresh_token", "refresh_token": "x", "scope": "all"}, "invalid_scope", 400),
        ({"grant_type": "refresh_token", "client_id": "client_unknown"}, "invalid_client", 401),
        (
            {"grant_type": "refresh_token", "client_id": "https://a.example/" + "x" * 600},
            "invalid_client",
            401,
        ),
        ({"grant_type": "refresh_token", "refresh_token": "a\x00b"}, "invalid_request", 400),
    ],
)
async def test_bad_requests(world: World, form: dict[str, str], code: str, status: int) -> None:
    program = await world.registered()
    assert_refused(await program.post("/token", form), code, status)


async def test_bad_bodies(world: World) -> None:
    async def post(content: bytes, kind: str = "application/x-www-form-urlencoded") -> httpx2.Response:
        headers = {"content-type": kind}
        return await world.http.post(f"{URL}/token", content=content, headers=headers)

    assert_refused(await post(b"{}", "application/json"), "invalid_request")
    assert_refused(await post(b"client_id=%ff"), "invalid_request")
    assert_refused(await post(b"client_id=a&client_id=b"), "invalid_request")
    assert_refused(await post(b"&".join(b"a%d=1" % n for n in range(100))), "invalid_request")
    assert_refused(await post(b"client_id=" + b"a" * 20_000), "invalid_request", 413)
    for method in ("GET", "PUT", "DELETE"):
        answer = await world.http.request(method, f"{URL}/token")
        assert_refused(answer, "invalid_request", 405)
        assert answer.headers["allow"] == "POST, OPTIONS"


# --- revocation --------------------------------------------------------------------------------------------


async def test_a_client_signs_itself_out(world: World) -> None:
    ended = revocations(world.gateway)
    program = await world.registered("client_secret_basic")
    tokens = await world.tokens(program)
    one = await program.post("/revoke", {"token": tokens["access_token"]})
    assert (one.status_code, one.headers["cache-control"]) == (200, "no-store")
    assert not await works(world, tokens["access_token"])
    renewed = (await program.refresh(tokens["refresh_token"])).json()
    hinted = {"token": renewed["refresh_token"], "token_type_hint": "refresh_token"}
    assert (await program.post("/revoke", hinted)).status_code == 200
    assert not await works(world, renewed["access_token"])
    assert_refused(await program.refresh(renewed["refresh_token"]), "invalid_grant")
    assert len(ended) == 1


async def test_revoking_nothing_is_fine_and_of_others_is_not(world: World) -> None:
    program, other = await world.registered(), await world.registered()
    tokens = await world.tokens(program)
    for nothing in ("chmr_" + "a" * 43, "chmd_key", "x"):
        assert (await program.post("/revoke", {"token": nothing})).status_code == 200
    assert_refused(await other.post("/revoke", {"token": tokens["refresh_token"]}), "invalid_grant")
    assert_refused(await program.post("/revoke", {}), "invalid_request")
    assert await works(world, tokens["access_token"])


# --- what is told and kept ---------------------------------------------------------------------------------


def secrets_of(program: Program, location: str, *answers: dict[str, str]) -> list[str]:
    found = [parameters_of(location)["code"], program.verifier, str(program.secret)]
    return found + [told[name] for told in answers for name in ("access_token", "refresh_token")]


async def test_no_secret_is_logged_or_stored(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    program = await world.registered("client_secret_post")
    location = await world.person.answer(program.address())
    first = (await program.redeem(location)).json()
    second = (await program.refresh(first["refresh_token"])).json()
    await world.clock.advance(60)
    await program.refresh(first["refresh_token"])
    secrets = secrets_of(program, location, first, second)
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("chamade"))
    for word in ("consent: ", "tokens issued: ", "replay: "):
        assert word in ours
    await world.api(second["access_token"])
    directory = world.database_path.parent
    stored = b"".join(path.read_bytes() for path in directory.glob("chamade.db*"))
    assert b"oauth_tokens" in stored
    for secret in secrets:
        assert secret not in ours
        assert secret.encode() not in stored
