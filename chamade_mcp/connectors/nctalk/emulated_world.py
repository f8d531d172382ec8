"""What the emulated Nextcloud knows: users, rooms, messages, files, and what its addon keeps."""

import asyncio
import itertools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chamade_mcp.kit.clock import Clock

MOST_TEXT: Final = 32_000
_EDITABLE_S: Final = 24 * 3600


class Refusal(Exception):
    def __init__(self, status: int, words: str = "", data: object = None) -> None:
        super().__init__(words)
        self.status = status
        self.words = words
        self.data: object = [] if data is None else data


@dataclass(slots=True)
class User:
    login: str
    name: str
    password: str
    admin: bool = False
    avatar: bytes = b""
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """By path without a slash at its start."""
    folders: set[str] = field(default_factory=lambda: {""})


@dataclass(slots=True)
class RoomState:
    token: str
    type: int
    name: str
    members: list[str]
    messages: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def find(self, number: int) -> dict[str, Any]:
        for message in self.messages:
            if message["id"] == number and message["messageType"] != "comment_deleted":
                return message
        raise Refusal(404)


@dataclass(slots=True)
class Addon:
    """What the addon keeps in Nextcloud's configuration."""

    api_secret: str
    enabled: bool = True
    backend_url: str = ""
    callback_url: str = ""
    owners: dict[str, str] = field(default_factory=dict[str, str])
    """By bot user, its owner."""
    devices: set[str] = field(default_factory=set[str])
    """Owners who have paired a device: their messages go out encrypted, as from 3.0 on."""
    authorized: dict[str, str] = field(default_factory=dict[str, str])
    nc_states: dict[str, tuple[str, float]] = field(default_factory=dict[str, tuple[str, float]])
    """By state, the administrator it is bound to, and when it ends."""


class World:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.users: dict[str, User] = {}
        self.rooms: dict[str, RoomState] = {}
        self.addon = Addon(secrets.token_hex(32))
        self.numbers = itertools.count(100)
        self.flood_until = 0.0

    def new_user(self, login: str, name: str = "", *, admin: bool = False, password: str = "") -> User:
        user = User(login, name or login.title(), password or secrets.token_urlsafe(12), admin)
        self.users[login] = user
        return user

    def new_bot(self, owner: str) -> User:
        """As the addon makes one for a user."""
        login = "chamade-bot-" + "".join(
            secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(8)
        )
        bot = self.new_user(login, f"Chamade ({owner})", password=secrets.token_urlsafe(24))
        self.addon.owners[login] = owner
        return bot

    def remove_user(self, login: str) -> None:
        self.users.pop(login, None)
        self.addon.owners.pop(login, None)
        for room in self.rooms.values():
            if login in room.members:
                room.members.remove(login)

    def new_room(self, kind: int, name: str, members: list[str]) -> RoomState:
        room = RoomState(secrets.token_hex(4), kind, name, members)
        self.rooms[room.token] = room
        self.note(room, members[0], "conversation_created", "{actor} created the conversation")
        return room

    def alone(self, one: str, other: str) -> RoomState:
        for room in self.rooms.values():
            if room.type == 1 and set(room.members) == {one, other}:
                return room
        return self.new_room(1, "", [one, other])

    def room_of(self, token: str, login: str) -> RoomState:
        room = self.rooms.get(token)
        if room is None or login not in room.members:
            raise Refusal(404)
        return room

    def post(
        self,
        room: RoomState,
        login: str,
        text: str,
        *,
        kind: str = "users",
        reply_to: int = 0,
        parameters: Mapping[str, Any] | None = None,
        system: str = "",
        parent: Mapping[str, Any] | None = None,
        reference: str = "",
        silent: bool = False,
    ) -> dict[str, Any]:
        if len(text) > MOST_TEXT:
            raise Refusal(413)
        user = self.users.get(login)
        message: dict[str, Any] = {
            "id": next(self.numbers),
            "token": room.token,
            "actorType": kind,
            "actorId": login,
            "actorDisplayName": user.name if user else login,
            "timestamp": int(self.clock.now().timestamp()),
            "message": text,
            "messageParameters": dict(parameters or {}) or [],
            "systemMessage": system,
            "messageType": "system" if system else "comment",
            "isReplyable": not system,
            "referenceId": reference,
            "reactions": [],
            "expirationTimestamp": 0,
            "markdown": True,
            "silent": silent,
            "threadId": 0,
        }
        if reply_to:
            parent = room.find(reply_to)
        if parent is not None:
            message["parent"] = {name: value for name, value in parent.items() if name != "parent"}
        room.messages.append(message)
        room.news.set()
        room.news = asyncio.Event()
        return message

    def note(
        self, room: RoomState, login: str, system: str, text: str, parent: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """A message of Talk's own."""
        return self.post(room, login, text, system=system, parent=parent)

    def edit(self, room: RoomState, login: str, number: int, text: str) -> dict[str, Any]:
        message = room.find(number)
        if message["actorId"] != login:
            raise Refusal(403)
        if self.clock.now().timestamp() - message["timestamp"] > _EDITABLE_S:
            raise Refusal(400, data={"error": "age"})
        if not text.strip():
            raise Refusal(400, data={"error": "message"})
        message |= {"message": text, "lastEditActorId": login}
        return self.note(room, login, "message_edited", "You edited a message", message)

    def delete(self, room: RoomState, login: str, number: int) -> dict[str, Any]:
        message = room.find(number)
        if message["actorId"] != login:
            raise Refusal(403)
        message |= {"message": "Message deleted by author", "messageParameters": []}
        message["messageType"] = "comment_deleted"
        return self.note(room, login, "message_deleted", "You deleted a message", message)

    def react(self, room: RoomState, login: str, number: int, emoji: str, *, on: bool) -> bool:
        """Whether that changed anything."""
        message = room.find(number)
        if not emoji or emoji.isascii():
            raise Refusal(400)
        given: dict[str, list[str]] = message.setdefault("_reactions", {})
        there = login in given.get(emoji, [])
        if on and not there:
            given.setdefault(emoji, []).append(login)
            self.note(room, login, "reaction", emoji, message)
        elif not on:
            if not there:
                raise Refusal(404)
            given[emoji].remove(login)
            self.note(room, login, "reaction_revoked", emoji, message)
        message["reactions"] = {e: len(who) for e, who in given.items() if who}
        return there != on

    def reactions(self, room: RoomState, number: int) -> dict[str, list[dict[str, Any]]]:
        """Who has put what on a message."""
        given: dict[str, list[str]] = room.find(number).get("_reactions", {})
        return {
            emoji: [
                {
                    "actorType": "users",
                    "actorId": login,
                    "actorDisplayName": self.users[login].name if login in self.users else login,
                    "timestamp": int(self.clock.now().timestamp()),
                }
                for login in who
            ]
            for emoji, who in given.items()
            if who
        }
