"""The Test of a connection: a real message to the operator, or the platform's own words on why not."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chamade_mcp.app.beside import served_beside
from chamade_mcp.app.sandbox import stages
from chamade_mcp.connectors.nctalk.emulator import TalkEmulator
from chamade_mcp.connectors.slack.emulator import SlackEmulator
from chamade_mcp.connectors.telegram.emulator import TelegramEmulator
from chamade_mcp.connectors.whatsapp.emulated_world import Refusal
from chamade_mcp.connectors.whatsapp.emulator import VERSION, WhatsAppEmulator
from tests.support.hosted import Hosted, hosted
from tests.support.requirement import requirement

WORDS = "This is a test message from your gateway: the connection works."


@asynccontextmanager
async def housed(folder: Path, name: str, emulator: Any, settings: dict[str, str]) -> AsyncGenerator[Hosted]:
    """`{url}` in the settings stands for where the platform is served."""
    async with emulator.running(), served_beside(emulator.app) as url:
        told = {key: value.replace("{url}", url) for key, value in settings.items()}
        async with hosted(folder / "data", {name: told}) as gateway:
            yield gateway


async def appoint(gateway: Hosted) -> None:
    """Whoever has written is the operator."""
    (message,) = await gateway.heard()
    await gateway.post("/api/operator", conversation_id=message["conversation_id"])


async def tried(gateway: Hosted, connection: str) -> str:
    """The words of the refusal."""
    answer = await gateway.api.post(f"/api/connections/{connection}/test")
    assert (answer.status_code, answer.json()["code"]) == (502, "SEND_FAILED"), answer.text
    return answer.json()["detail"]


@requirement("R-247")
@pytest.mark.parametrize("name", sorted(stages()))
async def test_the_operator_is_written_to(name: str, tmp_path: Path) -> None:
    manifest, stage = next(found for known, found in stages().items() if known == name)
    assert manifest.bot is not None, "somebody can play it"
    async with (
        stage.running(),
        served_beside(stage.app) as url,
        hosted(tmp_path / "data", {name: stage.settings(url, "http://127.0.0.1")}) as gateway,
    ):
        bot = dict(stage.bot())
        beside = {one: bot.pop(one) for one in ("discord_app_id", "slack_signing_secret") if one in bot}
        connection = await gateway.connect(name, bot.pop("bot_token"), beside, **bot)
        await stage.connected(f"{gateway.url}/api/hooks/{name}/{connection}")
        stage.write("Ann", "hello")
        await appoint(gateway)
        told = await gateway.post(f"/api/connections/{connection}/test")
        assert (told["status"], told["sent"]) == ("ok", True)
        assert (stage.lines("Ann")[-1].author, stage.lines("Ann")[-1].text) == ("", WORDS)


@requirement("R-247")
async def test_telegram_says_why_not(tmp_path: Path) -> None:
    telegram = TelegramEmulator()
    async with housed(tmp_path, "telegram", telegram, {"api_url": "{url}"}) as gateway:
        token, ann = telegram.new_bot("helper_bot"), telegram.person("Ann")
        connection = await gateway.connect("telegram", token)
        telegram.say(token, ann, "hello")
        await appoint(gateway)
        telegram.block(token, ann)
        assert "blocked by the user" in await tried(gateway, connection)


@requirement("R-247")
async def test_slack_says_why_not(tmp_path: Path) -> None:
    slack = SlackEmulator()
    async with housed(tmp_path, "slack", slack, {"api_url": "{url}/api"}) as gateway:
        token, ann = slack.new_app("helper"), slack.person("Ann")
        app = slack.bot(token).app
        beside = {"slack_signing_secret": app.signing_secret}
        connection = await gateway.connect("slack", token, beside, app_token=app.app_token)
        slack.say(token, ann, "hello")
        await appoint(gateway)
        slack.archive(slack.direct(token, ann))
        assert await tried(gateway, connection) == "The channel is archived (is_archived)"


@requirement("R-247")
async def test_whatsapp_says_why_not(tmp_path: Path) -> None:
    whatsapp = WhatsAppEmulator()
    async with housed(tmp_path, "whatsapp", whatsapp, {"api_url": f"{{url}}/{VERSION}"}) as gateway:
        number, ann = whatsapp.new_number(), whatsapp.person("Ann")
        bot = {"phone_number_id": number, "app_secret": "app-secret", "verify_token": "chosen"}
        connection = await gateway.connect("whatsapp", "EAAG-token", **bot)
        hook = f"{gateway.url}/api/hooks/whatsapp/{connection}"
        assert await whatsapp.subscribe(number, hook, "chosen")
        whatsapp.write(number, ann, "hello")
        await appoint(gateway)
        whatsapp.next_errors.append(Refusal(400, 131026, "Message undeliverable"))
        assert "Message undeliverable" in await tried(gateway, connection)


@requirement("R-247")
async def test_nextcloud_says_why_not(tmp_path: Path) -> None:
    cloud = TalkEmulator()
    async with cloud.running(), served_beside(cloud.app) as url:
        cloud.serve_at(url)
        hosts = {"hosts": url.partition("://")[2], "updates": "polling"}
        async with hosted(tmp_path / "data", {"nctalk": hosts}) as gateway:
            bot = dict(cloud.settings("ann"))
            login = bot["bot_login"]
            connection = await gateway.connect("nctalk", bot.pop("bot_token"), **bot)
            room = cloud.alone("ann", login)
            cloud.say("ann", room, "hello")
            await appoint(gateway)
            cloud.remove(room, login)
            assert "404" in await tried(gateway, connection)
