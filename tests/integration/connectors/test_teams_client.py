"""The emulated Teams tells Microsoft's own SDK, which checks its tokens and answers."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from chamade_mcp.connectors.teams.emulator import TENANT, TeamsEmulator
from tests.support.pip import pip_installed
from tests.support.script import line, result, script
from tests.support.server import serve
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("teams_client.py")
PACKAGES = ("microsoft-teams-apps==2.1.1",)


async def test_microsofts_sdk_finds_what_it_knows() -> None:
    python = await asyncio.to_thread(pip_installed, ROOT / "build" / "microsoft-teams", PACKAGES)
    teams = TeamsEmulator()
    bot = teams.new_bot()

    @asynccontextmanager
    async def app(url: str) -> AsyncGenerator[ASGIApp]:
        teams.at(url)
        async with teams.running():
            yield teams.app

    async with serve(app) as url, script(python, SCRIPT, url, bot, "s3cret~value", TENANT) as process:
        teams.set_endpoint(bot, json.loads(await line(process))["endpoint"])
        ann = teams.person("Ann")
        direct, group = teams.direct(bot, ann), teams.group(bot, "Lunch")
        asked = teams.write(bot, ann, "h\u00e9llo")
        await until(lambda: teams.calls["delete"] == 2, bound_s=30)  # the last that it does with it
        forged = await teams.post(bot, teams.activity(bot, ann, "x"), serviceurl="https://evil.example/")
        teams.edit(bot, ann, asked, "hello")
        teams.react(bot, ann, teams.said(direct)[0]["id"], added="like")
        mark = f'<quoted messageId="{asked}"/>'
        teams.delete(bot, ann, asked)
        offer: dict[str, Any] = {
            "attachments": [{"name": "a.txt", "content": {"acceptContext": {}}}],
            "id": "1",
        }
        teams.answer_offer(bot, ann, offer)
        # It answers before it has looked at what it is told.
        await until(lambda: len(teams.bot(bot).answers) == 5, bound_s=30)
        teams.write(bot, ann, "done", chat=group)
        seen = [one for one in await result(process) if one[0] != "token"]
    assert forged.status_code == 401
    assert seen == [
        ["message", "h\u00e9llo", "Ann", False, []],
        ["refused", 404, "ActivityNotFoundInConversation"],
        ["refused", 404, "ActivityNotFoundInConversation"],
        ["quote", True],
        ["edit", "hello"],
        ["reaction", ["like"]],
        ["delete", True],
        ["consent", "Action.ACCEPT", "a.txt"],
        ["message", "<at>helper</at> done", "Ann", True, []],
    ]
    first, quoting = teams.said(direct)
    assert (first["text"], quoting["text"]) == ("changed", f"{mark} quoting")
    assert direct.log[0]["reactions"] == {"like"}
