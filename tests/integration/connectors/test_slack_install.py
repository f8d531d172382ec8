"""Slack's app for everybody: installed by people in their browsers, over the emulated pages and methods."""

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest

from tests.support.oauth import Person, parameters_of
from tests.support.requirement import requirement
from tests.support.server import serve
from tests.support.slack_app import Shop, opened, published, shop, slack_at
from tests.support.waiting import until


@pytest.fixture
async def open_shop(tmp_path: Path) -> AsyncGenerator[Shop]:
    async with shop(tmp_path) as it:
        yield it


@requirement("R-181")
async def test_who_installs_the_app_is_heard(open_shop: Shop) -> None:
    slack, gateway = open_shop.slack, open_shop.gateway
    ann, bob = slack.person("Ann Lee"), slack.person("Bob")
    (platform,) = [p for p in (await gateway.get("/api/platforms"))["platforms"] if p["platform"] == "slack"]
    assert platform["oauth_provider"] == "slack"
    connection = await open_shop.install(ann.id)
    assert (connection["name"], connection["access"]) == ("@chamade (Acme)", "pairing")
    (token,) = slack.installed(open_shop.app)
    slack.say(token, bob, "me too")
    slack.say(token, ann, "hello")
    (message,) = await gateway.heard()
    assert (message["text"], message["sender"], message["sender_status"]) == ("hello", "Ann Lee", "paired")
    await gateway.answer(message, "Hi")
    assert slack.said(token, slack.direct(token, ann))[-1]["text"] == "Hi"
    waiting = (await gateway.get("/api/pairings?status=pending"))["pairings"]
    assert [one["name"] for one in waiting] == ["Bob"]
    for secret in (token, open_shop.app.client_secret):
        assert secret not in (await gateway.api.get(f"/api/connections/{connection['id']}")).text


async def test_several_workspaces_hear_their_own(open_shop: Shop) -> None:
    slack, gateway = open_shop.slack, open_shop.gateway
    ann, zoe = slack.person("Ann"), slack.person("Zoe", "Zeta")
    first, second = await open_shop.install(ann.id), await open_shop.install(zoe.id)
    assert [first["name"], second["name"]] == ["@chamade (Acme)", "@chamade (Zeta)"]
    at_acme, at_zeta = slack.installed(open_shop.app)
    slack.say(at_acme, ann, "from Acme")
    slack.say(at_zeta, zoe, "from Zeta")
    heard = await gateway.heard(2)
    assert sorted((one["sender"], one["text"]) for one in heard) == [
        ("Ann", "from Acme"),
        ("Zoe", "from Zeta"),
    ]
    for message in heard:
        await gateway.answer(message, f"to {message['sender']}")
    assert slack.said(at_zeta, slack.direct(at_zeta, zoe))[-1]["text"] == "to Zoe"


async def test_an_app_that_was_removed_is_installed_again(open_shop: Shop) -> None:
    slack, gateway = open_shop.slack, open_shop.gateway
    ann = slack.person("Ann")
    connection = await open_shop.install(ann.id)
    (token,) = slack.installed(open_shop.app)
    slack.uninstall(token)
    await gateway.state(connection["id"], "auth_needed")
    refused = await gateway.api.patch(f"/api/connections/{connection['id']}", json={"bot_token": "xoxb-1"})
    assert (refused.status_code, refused.json()["code"]) == (400, "SIGN_IN_AGAIN")
    again = await open_shop.install(ann.id)
    assert again["id"] == connection["id"]
    (fresh,) = slack.installed(open_shop.app)
    assert fresh != token
    slack.delivery.tell(slack.bot(fresh), {"type": "app_uninstalled"})  # late, of the time before
    slack.say(fresh, ann, "back again")
    (message,) = await gateway.heard()
    assert message["text"] == "back again"
    assert (await open_shop.connections())[0]["status"] == "ok"


@requirement("R-178")
async def test_disconnecting_takes_the_token_back(open_shop: Shop) -> None:
    connection = await open_shop.install(open_shop.slack.person("Ann").id)
    gone = await open_shop.gateway.api.delete(f"/api/connections/{connection['id']}")
    assert gone.status_code == 200
    assert open_shop.slack.installed(open_shop.app) == []
    assert await open_shop.connections() == []


async def test_who_says_no_and_who_comes_twice(open_shop: Shop) -> None:
    ann = open_shop.slack.person("Ann")
    back = await open_shop.agree(await open_shop.begin(), ann.id, "deny")
    assert await open_shop.come_back(back) == "/dashboard/platforms?error=slack_denied"
    back = await open_shop.agree(await open_shop.begin(), ann.id)
    assert await open_shop.come_back(back) == "/dashboard/platforms?connected=slack"
    assert await open_shop.come_back(back) == "/dashboard/platforms?error=slack_expired"
    open_shop.slack.down = True
    back = await open_shop.agree(await open_shop.begin(), ann.id)
    assert await open_shop.come_back(back) == "/dashboard/platforms?error=slack_unavailable"
    open_shop.slack.down = False
    open_shop.app.signing_secret = "changed"
    back = await open_shop.agree(await open_shop.begin(), ann.id)
    assert await open_shop.come_back(back) == "/dashboard/platforms?error=slack_refused"


async def test_a_link_begun_with_a_key_is_the_accounts_own(open_shop: Shop) -> None:
    ann = open_shop.slack.person("Ann")
    begun = (await open_shop.gateway.post("/api/slack/install"))["url"]
    assert parameters_of(begun)["client_id"] == open_shop.app.client_id
    back = await open_shop.agree(begun, ann.id)
    async with httpx2.AsyncClient(base_url=open_shop.gateway.url) as http:
        stranger = Person(http, open_shop.gateway.url)
        asked = await stranger.get(back)
        assert asked.status_code == 303
        assert asked.headers["location"].startswith("/sign-in?next=/connect/slack/callback")
    assert await open_shop.come_back(back) == "/dashboard/platforms?connected=slack"


async def test_scopes_that_were_left_out_are_missed(open_shop: Shop) -> None:
    ann = open_shop.slack.person("Ann")
    url = (await open_shop.begin()).replace("files%3Aread%2C", "")
    back = await open_shop.agree(url, ann.id)
    assert await open_shop.come_back(back) == "/dashboard/platforms?error=slack_refused"
    assert await open_shop.connections() == []


async def test_slack_sends_nobody_where_the_app_is_not(open_shop: Shop) -> None:
    url = await open_shop.begin()
    for wrong in (url.replace("slack%2Fcallback", "evil"), url.replace("client_id=", "client_id=0")):
        assert (await open_shop.browser.get(wrong)).status_code == 400


async def test_nonsense_in_the_address_is_an_old_state(open_shop: Shop) -> None:
    for query in (
        "",
        "?state=",
        "?state=%00%ff&code=%00",
        "?code=x",
        "?error=" + "x" * 3000,
        "?state=a&state=b",
    ):
        end = await open_shop.come_back(f"/connect/slack/callback{query}")
        assert end == "/dashboard/platforms?error=slack_expired"


async def test_a_token_that_ends_is_replaced_in_time(open_shop: Shop) -> None:
    slack, gateway, app = open_shop.slack, open_shop.gateway, open_shop.app
    app.token_life_s = 4.0  # it is replaced after two
    ann = slack.person("Ann")
    connection = await open_shop.install(ann.id)
    first = slack.installed(app)[0]
    app.token_life_s = 3600.0
    await until(lambda: slack.installed(app) != [] and first not in slack.installed(app))
    second = slack.installed(app)[-1]
    slack.say(second, ann, "still there?")
    (message,) = await gateway.heard()
    await gateway.answer(message, "Yes")
    assert slack.said(second, slack.direct(second, ann))[-1]["text"] == "Yes"
    await gateway.state(connection["id"], "ok")
    assert (await gateway.post(f"/api/connections/{connection['id']}/test"))["status"] == "ok"
    gone = await gateway.api.delete(f"/api/connections/{connection['id']}")
    assert gone.status_code == 200
    assert slack.installed(app) == []


async def test_a_token_that_ended_while_the_gateway_was_away(tmp_path: Path) -> None:
    slack, app = published()
    ann = slack.person("Ann")
    app.token_life_s = 2.0
    async with serve(slack_at(slack)) as url:
        async with opened(tmp_path, slack, app, url) as before:
            connection = await before.install(ann.id)
            slack.down = True
        await until(lambda: slack.installed(app) == [])
        slack.down, app.token_life_s = False, 3600.0
        async with opened(tmp_path, slack, app, url) as after:
            await after.gateway.state(connection["id"], "ok")
            (token,) = slack.installed(app)
            slack.say(token, ann, "back?")
            (message,) = await after.gateway.heard()
            assert message["text"] == "back?"


async def test_a_token_that_slack_no_longer_renews(tmp_path: Path) -> None:
    slack, app = published()
    app.token_life_s = 2.0
    async with serve(slack_at(slack)) as url, opened(tmp_path, slack, app, url) as it:
        connection = await it.install(slack.person("Ann").id)
        slack.forget_refreshers()
        await it.gateway.state(connection["id"], "auth_needed")
        detail = (await it.gateway.get(f"/api/connections/{connection['id']}"))["detail"]
        assert detail == "invalid_refresh_token"
