"""A Nextcloud of one's own, with Talk and the addon: users, rooms, files, consent, webhooks.

It refuses what Nextcloud refuses. Serve `TalkEmulator.app` and tell `serve_at` its address; people act by its
methods, and what bots say stands in `said`. Browsers are whom their cookie `nc_user` names.
"""

from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette

from chamade_mcp.connectors.nctalk.emulated_addon import Addon
from chamade_mcp.connectors.nctalk.emulated_ocs import Ocs, share_file
from chamade_mcp.connectors.nctalk.emulated_world import RoomState, User, World
from chamade_mcp.kit.clock import Clock, SystemClock


class TalkEmulator:
    def __init__(self, clock: Clock | None = None) -> None:
        self.world = World(clock or SystemClock())
        self.addon = Addon(self.world)
        self.ocs = Ocs(self.world, self.addon.told)
        self.running = self.addon.running
        self.app = Starlette(routes=[*self.addon.routes(), *self.ocs.routes()])

    def serve_at(self, url: str) -> None:
        self.addon.url = url

    # --- administration ------------------------------------------------------------------------------------

    def user(self, login: str, *, admin: bool = False) -> User:
        return self.world.users.get(login) or self.world.new_user(login, admin=admin)

    def settings(self, owner: str) -> Mapping[str, str]:
        """Of a new bot of `owner`'s, as the addon tells them."""
        self.user(owner)
        bot = self.world.new_bot(owner)
        return {
            "nc_url": self.addon.url,
            "bot_login": bot.login,
            "bot_token": bot.password,
            "api_secret": self.world.addon.api_secret,
            "owner": owner,
        }

    def bot_of(self, owner: str) -> str:
        """The newest; "" without one."""
        mine = [bot for bot, who in self.world.addon.owners.items() if who == owner]
        return mine[-1] if mine else ""

    # --- people --------------------------------------------------------------------------------------------

    def alone(self, person: str, bot: str) -> RoomState:
        return self.world.alone(bot, person)

    def group(self, name: str, *members: str) -> RoomState:
        room = self.world.new_room(2, name, list(members))
        for bot in (m for m in members if m in self.world.addon.owners):
            self._attendee("added", room, bot)
        return room

    def add(self, room: RoomState, who: str, bot: str) -> None:
        """Somebody who is in the room brings the bot in."""
        room.members.append(bot)
        self.world.note(room, who, "user_added", "{actor} added {user}")
        self._attendee("added", room, bot)

    def remove(self, room: RoomState, bot: str) -> None:
        room.members.remove(bot)
        self._attendee("removed", room, bot)

    def say(
        self,
        person: str,
        room: RoomState,
        text: str,
        *,
        reply_to: int = 0,
        mentions: Mapping[str, str] | None = None,
    ) -> int:
        """The message's number. `mentions` are logins by placeholder, as ``mention-user1``."""
        users = self.world.users
        parameters = {
            key: {"type": "user", "id": login, "name": users[login].name}
            for key, login in (mentions or {}).items()
        }
        said = self.world.post(room, person, text, reply_to=reply_to, parameters=parameters)
        self.addon.told(room, said)
        return said["id"]

    def send_file(self, person: str, room: RoomState, name: str, body: bytes, text: str = "") -> int:
        user = self.world.users[person]
        user.files[name] = body
        said = share_file(self.world, room, user, name, text)
        self.addon.told(room, said)
        return said["id"]

    def edit(self, person: str, room: RoomState, number: int, text: str) -> None:
        self.addon.told(room, self.world.edit(room, person, number, text))

    def delete(self, person: str, room: RoomState, number: int) -> None:
        self.addon.told(room, self.world.delete(room, person, number))

    def react(self, person: str, room: RoomState, number: int, emoji: str) -> None:
        self.world.react(room, person, number, emoji, on=True)

    def call(self, room: RoomState, actor: str, *, over: bool = False) -> None:
        what = "ended" if over else "started"
        body = {"room_token": room.token, "room_type": room.type, "room_name": room.name, "actor_id": actor}
        self.addon.tell(f"/api/nctalk/call-{what}", {"type": f"call_{what}", **body})

    def flood(self, seconds: float) -> None:
        """From now on, and for so long, Nextcloud is asked too often."""
        self.world.flood_until = self.world.clock.monotonic() + seconds

    def said(self, room: RoomState, bot: str) -> list[dict[str, Any]]:
        """What the bot said there, and did not delete; without the gateway's own lines."""
        return [
            m
            for m in room.messages
            if m["actorId"] == bot and m["messageType"] == "comment" and not m["silent"]
        ]

    def told(self, room: RoomState, bot: str) -> list[str]:
        """The gateway's own lines."""
        return [m["message"] for m in room.messages if m["actorId"] == bot and m["silent"]]

    def _attendee(self, what: str, room: RoomState, bot: str) -> None:
        body = {
            "type": f"attendee_{what}",
            "room_token": room.token,
            "room_type": room.type,
            "room_name": room.name,
            "bot_user_id": bot,
        }
        self.addon.tell(f"/api/nctalk/attendee-{what}", body)
