"""The platforms of `bench_connectors.py`: an emulator each, bots on it, and webhooks as it would send them.

Another platform is another class here, and one more line in `CALLED` or `ASKING`.
"""

import itertools
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol
from urllib.parse import urlsplit

from starlette.applications import Starlette

from chamade_mcp.connectors.discord.emulator import DiscordEmulator
from chamade_mcp.connectors.nctalk.client import RANDOM, SIGNATURE, sign
from chamade_mcp.connectors.nctalk.emulated_world import RoomState
from chamade_mcp.connectors.nctalk.emulator import TalkEmulator
from chamade_mcp.connectors.slack.emulator import SlackEmulator
from chamade_mcp.connectors.slack.signing import signature
from chamade_mcp.connectors.teams.emulator import TeamsEmulator
from chamade_mcp.connectors.telegram.emulator import TelegramEmulator
from chamade_mcp.connectors.whatsapp.emulator import VERSION, WhatsAppEmulator
from chamade_mcp.kit.clock import SystemClock

PEOPLE = 50
"""Who write, in turn: what one says waits for what they said before, to keep its order."""
TEXT = "Could you look at the second page again? The figures of last week are not in it, I think."

Say = Callable[[], bytes]
"""The next webhook, signed ahead, as the bytes of a request."""


class Row(Protocol):
    platform: str

    @property
    def app(self) -> Starlette: ...

    @property
    def running(self) -> Callable[[], AbstractAsyncContextManager[None]]: ...

    def settings(self, url: str) -> Mapping[str, str]:
        """What who runs the gateway sets; `url` is the emulator's."""
        ...

    def bot(self, number: int, *, called: bool) -> dict[str, Any]:
        """A new bot, as POST /api/bot-tokens takes it: one that the platform calls, or one that asks."""
        ...


class Called(Row, Protocol):
    def says(self, bot: Mapping[str, Any], connection: str, port: int, count: int) -> Say:
        """So many messages of people, each said once."""
        ...


class Telegram:
    platform = "telegram"

    def __init__(self) -> None:
        self._emulator = TelegramEmulator()
        self._numbers = itertools.count(1)
        self.app, self.running = self._emulator.app, self._emulator.running

    def settings(self, url: str) -> Mapping[str, str]:
        return {"api_url": url}

    def bot(self, number: int, *, called: bool) -> dict[str, Any]:
        token = self._emulator.new_bot(f"bench{number}_bot")
        updates = "webhook" if called else "polling"
        return {"platform": "telegram", "bot_token": token, "settings": {"updates": updates}}

    def says(self, bot: Mapping[str, Any], connection: str, port: int, count: int) -> Say:
        secret = {"x-telegram-bot-api-secret-token": self._emulator.webhook_secret(bot["bot_token"])}
        path = f"/api/hooks/telegram/{connection}"

        def told() -> Iterator[bytes]:
            for number in itertools.islice(self._numbers, count):
                person = 7_000 + number % PEOPLE
                name = {"id": person, "first_name": f"Person {person}", "username": f"person{person}"}
                message = {
                    "message_id": number,
                    "from": {**name, "is_bot": False, "language_code": "en"},
                    "chat": {**name, "type": "private"},
                    "date": 1_795_000_000,
                    "text": TEXT,
                }
                yield _post(path, port, {"update_id": number, "message": message}, secret)

        return iter(list(told())).__next__


class Slack:
    platform = "slack"

    def __init__(self) -> None:
        self._emulator = SlackEmulator()
        self._clock = SystemClock()
        self._numbers = itertools.count(1)
        self._people = [self._emulator.person(f"Person {number}") for number in range(PEOPLE)]
        self.app, self.running = self._emulator.app, self._emulator.running

    def settings(self, url: str) -> Mapping[str, str]:
        return {"api_url": f"{url}/api"}

    def bot(self, number: int, *, called: bool) -> dict[str, Any]:
        token = self._emulator.new_app(f"bench{number}")
        app = self._emulator.bot(token).app
        return {
            "platform": "slack",
            "bot_token": token,
            "slack_signing_secret": app.signing_secret,
            "settings": {} if called else {"app_token": app.app_token},
        }

    def says(self, bot: Mapping[str, Any], connection: str, port: int, count: int) -> Say:
        mine = self._emulator.bot(bot["bot_token"])
        channels = [self._emulator.direct(mine.token, person) for person in self._people]
        now = int(self._clock.now().timestamp())

        def told() -> Iterator[bytes]:
            for number in itertools.islice(self._numbers, count):
                ts = f"{now}.{number:06d}"
                event = {
                    "type": "message", "user": self._people[number % PEOPLE].id, "ts": ts, "event_ts": ts,
                    "client_msg_id": "1a4b5c6d-0000-4000-8000-000000000000", "text": TEXT, "team": mine.team,
                    "channel": channels[number % PEOPLE], "channel_type": "im",
                    "blocks": [
                        {
                            "type": "rich_text", "block_id": "abc",
                            "elements": [
                                {"type": "rich_text_section", "elements": [{"type": "text", "text": TEXT}]}
                            ],
                        }
                    ],
                }  # fmt: skip
                body = {
                    "token": "deprecated", "team_id": mine.team, "context_team_id": mine.team,
                    "context_enterprise_id": None, "api_app_id": mine.app.id, "event": event,
                    "type": "event_callback", "event_id": f"Ev{number:08d}", "event_time": now,
                    "authorizations": [
                        {"enterprise_id": None, "team_id": mine.team, "user_id": mine.user, "is_bot": True,
                         "is_enterprise_install": False}
                    ],
                    "is_ext_shared_channel": False, "event_context": "4-eyJldCI6Im1lc3NhZ2UifQ",
                }  # fmt: skip
                signed = signature(mine.app.signing_secret, str(now), json.dumps(body).encode())
                headers = {"x-slack-request-timestamp": str(now), "x-slack-signature": signed}
                yield _post("/api/slack/webhook", port, body, headers)

        return iter(list(told())).__next__


class WhatsApp:
    platform = "whatsapp"

    def __init__(self) -> None:
        self._emulator = WhatsAppEmulator()
        self._numbers = itertools.count(1)
        self.app, self.running = self._emulator.app, self._emulator.running

    def settings(self, url: str) -> Mapping[str, str]:
        return {"api_url": f"{url}/{VERSION}"}

    def bot(self, number: int, *, called: bool) -> dict[str, Any]:
        assert called, "WhatsApp knows no other way"
        settings = {
            "phone_number_id": self._emulator.new_number(),
            "app_secret": "app-secret",
            "verify_token": "chosen",
        }
        return {"platform": "whatsapp", "bot_token": "EAAG-token", "settings": settings}

    def says(self, bot: Mapping[str, Any], connection: str, port: int, count: int) -> Say:
        mine = bot["settings"]["phone_number_id"]

        def told() -> Iterator[bytes]:
            for number in itertools.islice(self._numbers, count):
                wa_id = f"4917{number % PEOPLE:07d}"
                value = {
                    "messaging_product": "whatsapp",
                    "metadata": {"display_phone_number": "15550001000", "phone_number_id": mine},
                    "contacts": [
                        {"profile": {"name": f"Person {wa_id}"}, "user_id": f"DE.{wa_id}", "wa_id": wa_id}
                    ],
                    "messages": [
                        {
                            "from": wa_id,
                            "id": f"wamid.{number}",
                            "timestamp": "1795000000",
                            "type": "text",
                            "text": {"body": TEXT},
                        }
                    ],
                }
                entry = {"id": "102290129340398", "changes": [{"field": "messages", "value": value}]}
                body = {"object": "whatsapp_business_account", "entry": [entry]}
                signed = self._emulator.signed(mine, json.dumps(body).encode())
                yield _post(f"/api/hooks/whatsapp/{connection}", port, body, signed)

        return iter(list(told())).__next__


class Teams:
    platform = "teams"

    def __init__(self) -> None:
        self._emulator = TeamsEmulator()
        self._people = [self._emulator.person(f"Person {number}") for number in range(PEOPLE)]
        self.app, self.running = self._emulator.app, self._emulator.running

    def settings(self, url: str) -> Mapping[str, str]:
        self._emulator.at(url)
        return {"api_url": f"{url}/teams", "login_url": url}

    def bot(self, number: int, *, called: bool) -> dict[str, Any]:
        assert called, "Teams knows no other way"
        app_id = self._emulator.new_bot(f"bench{number}")
        bot = self._emulator.bot(app_id)
        settings = {"app_id": app_id, "tenant_id": bot.tenant, "bot_name": bot.name}
        return {"platform": "teams", "bot_token": bot.secret, "settings": settings}

    def says(self, bot: Mapping[str, Any], connection: str, port: int, count: int) -> Say:
        app_id = bot["settings"]["app_id"]
        # Microsoft signs with one token for an hour.
        signed = {"authorization": f"Bearer {self._emulator.signed(app_id)}"}
        people = itertools.islice(itertools.cycle(self._people), count)
        told = [self._emulator.activity(app_id, person, TEXT) for person in people]
        return iter([_post("/api/hooks/teams", port, one, signed) for one in told]).__next__


class Discord:
    platform = "discord"

    def __init__(self) -> None:
        self._emulator = DiscordEmulator()
        self.app, self.running = self._emulator.app, self._emulator.running

    def settings(self, url: str) -> Mapping[str, str]:
        return {"api_url": f"{url}/api/v10"}

    def bot(self, number: int, *, called: bool) -> dict[str, Any]:
        assert not called, "Discord knows no other way"
        token = self._emulator.new_bot(f"bench{number}")
        app = self._emulator.bot(token).app_id
        return {"platform": "discord", "bot_token": token, "discord_app_id": app}


class NextcloudTalk:
    """Each webhook is sent once its message stands in Talk, where the gateway reads it."""

    platform = "nctalk"

    def __init__(self) -> None:
        self._emulator = TalkEmulator()
        self._rooms: dict[str, list[RoomState]] = {}
        """Those in which people write, by the bot's login."""
        self.app, self.running = self._emulator.app, self._emulator.running

    def settings(self, url: str) -> Mapping[str, str]:
        self._emulator.serve_at(url)
        return {"hosts": urlsplit(url).netloc}

    def bot(self, number: int, *, called: bool) -> dict[str, Any]:
        owner, world = f"owner{number}", self._emulator.world
        settings = dict(self._emulator.settings(owner))
        settings["updates"] = "webhook" if called else "polling"
        if called:
            members = [owner, settings["bot_login"]]
            rooms = [world.new_room(2, f"Room {each}", list(members)) for each in range(PEOPLE)]
            world.addon.authorized |= {room.token: owner for room in rooms}
            self._rooms[settings["bot_login"]] = rooms
        return {"platform": "nctalk", "bot_token": settings.pop("bot_token"), "settings": settings}

    def says(self, bot: Mapping[str, Any], connection: str, port: int, count: int) -> Say:
        mine = bot["settings"]
        login, owner = mine["bot_login"], mine["owner"]

        def signed(room: str) -> bytes:
            random = secrets.token_hex(16)
            body = {
                "type": "Create", "room_token": room, "sender": owner, "sender_id": f"users/{owner}",
                "message": TEXT, "room_type": 2, "bot_user": login, "bot_owner": owner,
            }  # fmt: skip
            headers = {RANDOM: random, SIGNATURE: sign(mine["api_secret"], random)}
            return _post("/api/nctalk/chat", port, body, headers)

        rooms = itertools.islice(itertools.cycle(self._rooms[login]), count)
        coming = iter([(room, signed(room.token)) for room in rooms])

        def say() -> bytes:
            room, request = next(coming)
            self._emulator.world.post(room, owner, TEXT)
            return request

        return say


CALLED: Mapping[str, Callable[[], Called]] = {
    "telegram": Telegram,
    "slack": Slack,
    "whatsapp": WhatsApp,
    "teams": Teams,
    "nctalk": NextcloudTalk,
}
ASKING: Mapping[str, Callable[[], Row]] = {
    "telegram": Telegram,
    "slack": Slack,
    "discord": Discord,
    "nctalk": NextcloudTalk,
}
"""Those with another way than webhooks."""
CONNECTED: Mapping[str, Callable[[], Row]] = {**ASKING, "teams": Teams}
"""Those of whom a hundred bots are connected: Teams's wait to be called."""


def _post(path: str, port: int, body: object, headers: Mapping[str, str]) -> bytes:
    raw = json.dumps(body).encode()
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if name != "content-type")
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        f"{more}content-length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw
