"""Who is let in on Microsoft Teams: credentials, tokens, keys, organisations, the bot for everybody."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from chamade_mcp.connectors.teams.emulator import TENANT
from tests.support.teams import COMMON, Office, office
from tests.support.waiting import until


@pytest.fixture
async def here(tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(tmp_path) as it:
        yield it


async def test_a_secret_that_is_replaced_waits_for_the_new_one(here: Office) -> None:
    teams, gateway = here.teams, here.gateway
    helper = teams.new_bot()
    connection = await here.connect(helper)
    ann = teams.person("Ann")
    direct = teams.direct(helper, ann)
    teams.write(helper, ann, "hello")
    (message,) = await gateway.heard()
    # A token that ran out early is renewed, and nobody is the wiser.
    teams.expire_tokens(helper)
    await gateway.answer(message, "once")
    assert [one["text"] for one in teams.said(direct)] == ["once"]
    teams.renew_secret(helper, "another~secret")
    await gateway.answer(message, "waits", 202)
    await gateway.state(connection, "auth_needed")
    refused = await gateway.answer(message, "at once", 503)
    assert refused["code"] == "RECONNECT_NEEDED"
    wrong = await gateway.api.patch(f"/api/connections/{connection}", json={"bot_token": "wrong"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "CREDENTIALS_REFUSED")
    assert "AADSTS7000215" in wrong.json()["detail"]
    assert "Trace ID" not in wrong.json()["detail"]
    right = await gateway.api.patch(f"/api/connections/{connection}", json={"bot_token": "another~secret"})
    assert right.status_code == 200, right.text
    await until(lambda: len(teams.said(direct)) == 2)
    assert teams.said(direct)[1]["text"] == "waits"


async def test_what_cannot_be_right_is_told_on_saving(here: Office) -> None:
    helper = here.teams.new_bot()
    right = {"app_id": helper, "tenant_id": TENANT}
    for wrong in ({"app_id": "x"}, {"tenant_id": "a/b"}, {"tenant_id": "../common"}):
        told = await here.register(helper, 422, settings={**right, **wrong})
        assert told["errors"][0]["field"] == next(iter(wrong))
    told = await here.register(helper, 422, bot_token="not one")
    assert told["errors"][0]["field"] == "bot_token"
    assert here.teams.calls == {}
    told = await here.register(helper, 400, settings={**right, "tenant_id": "contoso.onmicrosoft.com"})
    assert "AADSTS700016" in told["detail"]
    assert "s3cret" not in json.dumps(told)


async def test_activities_that_are_not_from_teams(here: Office) -> None:
    teams, gateway = here.teams, here.gateway
    helper, other = teams.new_bot(), teams.new_bot("other")
    connection = await here.connect(helper)
    ann = teams.person("Ann")
    teams.write(helper, ann, "genuine")
    await gateway.heard()
    activity = teams.activity(helper, ann, "forged")
    now = 1_700_000_000
    forged: list[dict[str, Any]] = [
        {"iss": "https://sts.windows.net/x/"},
        {"aud": other},
        {"aud": ["x"]},
        {"exp": now, "nbf": now - 100},
        {"exp": "soon"},
        {"exp": None},
        {"serviceurl": "https://evil.example.org/"},
        {"serviceurl": None},
    ]
    for path in (COMMON, f"{COMMON}/{connection}"):
        teams.set_endpoint(helper, gateway.url + path)
        for claims in forged:
            answer = await teams.post(helper, activity, **claims)
            assert (answer.status_code, answer.json()["code"]) == (403, "HOOK_REFUSED"), claims
        for changed in (
            {"serviceUrl": "http://169.254.169.254/"},
            {"channelId": "webchat"},
            {"channelId": 1},
        ):
            assert (await teams.post(helper, {**activity, **changed})).status_code == 403
    token = teams.signed(helper)
    head, body, signature = token.split(".")
    none = "eyJhbGciOiJub25lIn0"
    tokens = ["", "Basic eDp5", "Bearer", "Bearer a.b.c", f"Bearer {head}.{body}.", f"Bearer {none}.{body}."]
    tokens += [f"Bearer {head}.{body}.{signature[:-4]}AAAA", f"Bearer {'x' * 9000}", f"Bearer {token}.x"]
    async with httpx2.AsyncClient(base_url=gateway.url) as anybody:
        for authorization in tokens:
            answer = await anybody.post(COMMON, json=activity, headers={"authorization": authorization})
            assert (answer.status_code, answer.json()["code"]) == (403, "HOOK_REFUSED"), authorization
    # Signed rubbish is taken, and does no harm: Teams would bring it again.
    for rubbish in (
        {},
        {"type": "message"},
        {**activity, "conversation": None},
        {**activity, "id": "x" * 500},
    ):
        assert (await teams.post(helper, rubbish)).status_code == 200
    assert [m["text"] for m in await gateway.heard()] == ["genuine"]
    assert (await teams.post(helper, activity)).status_code == 200
    assert (await teams.post(helper, activity)).status_code == 200
    assert [m["text"] for m in await gateway.heard(2)] == ["genuine", "forged"]


async def test_keys_are_asked_for_again_but_not_by_strangers(here: Office) -> None:
    teams, gateway = here.teams, here.gateway
    helper = teams.new_bot()
    await here.connect(helper)
    ann = teams.person("Ann")
    activity = teams.activity(helper, ann, "x")
    teams.endorse("webchat")
    assert (await teams.post(helper, activity)).status_code == 403  # a key that may not speak for Teams
    assert teams.calls["keys"] == 1
    teams.renew_key()
    for _ in range(5):
        assert (await teams.post(helper, activity)).status_code == 403
    assert teams.calls["keys"] == 1  # looked at a moment ago
    assert await gateway.conversations() == []


async def test_another_organisation_is_not_let_in(here: Office) -> None:
    teams, gateway = here.teams, here.gateway
    helper, wide = teams.new_bot(), teams.new_bot("wide", tenant="botframework.com")
    await here.connect(helper)
    await here.connect(wide)
    eve = teams.person("Eve", tenant="00000000-dead-4000-8000-00000000beef")
    assert (await teams.post(helper, teams.activity(helper, eve, "hello"))).status_code == 403
    assert (await teams.post(wide, teams.activity(wide, eve, "hello"))).status_code == 200
    assert len(await gateway.heard()) == 1
