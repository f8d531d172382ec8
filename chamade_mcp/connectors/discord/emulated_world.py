"""What the emulated Discord knows: bots, people, servers, channels, messages, files."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from chamade_mcp.kit.clock import Clock

CONTENT_FLAG: Final = 1 << 19
"""GATEWAY_MESSAGE_CONTENT_LIMITED: the switch in the Developer Portal is on."""
DM: Final = 1
TEXT: Final = 0
THREAD: Final = 11
_EPOCH: Final = datetime(2015, 1, 1, tzinfo=UTC)
_USER: Final = re.compile(r"<@!?([0-9]{1,20})>")
_ROLE: Final = re.compile(r"<@&([0-9]{1,20})>")
_EVERYONE: Final = re.compile("@(everyone|here)")
_FILE_S: Final = 86_400.0


class Refusal(Exception):
    """An error as Discord words it; with `retry_after`, that of who is too fast."""

    def __init__(
        self,
        status: int,
        code: int,
        words: str,
        *,
        field: str = "",
        fault: str = "",
        retry_after: float | None = None,
        everywhere: bool = False,
    ) -> None:
        super().__init__(words)
        self.status = status
        self.body: dict[str, Any] = {"message": words, "code": code}
        self.retry_after = retry_after
        self.everywhere = everywhere
        if field:
            self.body["errors"] = {field: {"_errors": [{"code": fault, "message": words}]}}
            self.body["message"] = "Invalid Form Body"
        if retry_after is not None:
            self.body = {"message": words, "retry_after": retry_after, "global": everywhere}


def invalid(field: str, fault: str, words: str) -> Refusal:
    return Refusal(400, 50035, words, field=field, fault=fault)


@dataclass(slots=True)
class Person:
    id: str
    username: str
    global_name: str
    blocks: bool = False
    """Takes no direct messages of bots."""

    def to_wire(self) -> dict[str, Any]:
        return {"id": self.id, "username": self.username, "global_name": self.global_name,
                "discriminator": "0", "avatar": None, "bot": False, "public_flags": 0}  # fmt: skip


@dataclass(slots=True, eq=False)
class Bot:
    id: str
    app_id: str
    username: str
    token: str
    flags: int = CONTENT_FLAG
    starts_left: int = 1000
    commands: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """By name."""
    denied: set[str] = field(default_factory=set[str])
    """Channels it may not see."""
    secret: str = ""
    """Of the application, for OAuth."""
    redirects: tuple[str, ...] = ()
    """Where it may send people back to."""
    added_by: set[str] = field(default_factory=set[str])
    """People who have it for themselves."""
    replies: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """What it answered to commands."""

    def to_wire(self) -> dict[str, Any]:
        return {"id": self.id, "username": self.username, "global_name": None, "discriminator": "0001",
                "avatar": None, "bot": True, "public_flags": 0}  # fmt: skip


@dataclass(slots=True, eq=False)
class Guild:
    id: str
    name: str
    members: dict[str, str | None]
    """Ids of people and bots, with the name that each has here alone."""
    roles: list[dict[str, Any]]

    def to_wire(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name, "icon": None, "owner_id": next(iter(self.members)),
                "roles": self.roles, "emojis": [], "stickers": [], "features": [], "afk_timeout": 300,
                "verification_level": 0, "default_message_notifications": 0, "explicit_content_filter": 0,
                "mfa_level": 0, "nsfw_level": 0, "premium_tier": 0, "preferred_locale": "en-US",
                "premium_progress_bar_enabled": False, "system_channel_flags": 0}  # fmt: skip


@dataclass(slots=True, eq=False)
class Channel:
    id: str
    type: int
    name: str = ""
    guild: Guild | None = None
    parent: str | None = None
    between: tuple[str, ...] = ()
    """Of a direct channel: the bot and the person."""
    messages: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """By id, as they stand now."""
    archived: bool = False
    """Of a thread: nothing in it can be changed. A message opens it again."""
    locked: bool = False
    typing: int = 0
    """How often a bot has shown that it types."""
    flood_until: float = 0.0


@dataclass(slots=True, eq=False)
class StoredFile:
    id: str
    name: str
    mime: str
    body: bytes
    channel: str

    def to_wire(self, base: str, until: float) -> dict[str, Any]:
        url = f"{base}/attachments/{self.channel}/{self.id}/{self.name}?ex={int(until):x}&is=0&hm=abc"
        return {"id": self.id, "filename": self.name, "size": len(self.body), "content_type": self.mime,
                "url": url, "proxy_url": url}  # fmt: skip


class World:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.base = ""
        """Where it is served; known with the first request."""
        self.down = False
        self.bots: dict[str, Bot] = {}
        """By token."""
        self.people: dict[str, Person] = {}
        self.guilds: dict[str, Guild] = {}
        self.channels: dict[str, Channel] = {}
        self.files: dict[str, StoredFile] = {}
        self.nonces: dict[tuple[str, str, str], str] = {}
        """Messages by bot, channel and nonce."""
        self._numbers = itertools.count(1)

    def new_id(self) -> str:
        passed = self.clock.now() - _EPOCH
        return str((int(passed.total_seconds() * 1000) << 22) + next(self._numbers))

    def authorised(self, header: str) -> Bot:
        bot = self.bots.get(header.removeprefix("Bot "))
        if bot is None or not header.startswith("Bot "):
            raise Refusal(401, 0, "401: Unauthorized")
        return bot

    def user(self, ref: str) -> dict[str, Any] | None:
        if ref in self.people:
            return self.people[ref].to_wire()
        return next((bot.to_wire() for bot in self.bots.values() if bot.id == ref), None)

    def member(self, guild: Guild, ref: str) -> dict[str, Any]:
        """Somebody on a server, without the user."""
        return {"nick": guild.members[ref], "roles": [], "joined_at": self.stamp(), "deaf": False,
                "mute": False, "flags": 0, "avatar": None, "permissions": "0"}  # fmt: skip

    def direct(self, bot: Bot, person: str) -> Channel:
        between = (bot.id, person)
        for channel in self.channels.values():
            if channel.between == between:
                return channel
        return self.add_channel(Channel(self.new_id(), DM, between=between))

    def add_channel(self, channel: Channel) -> Channel:
        self.channels[channel.id] = channel
        return channel

    def sees(self, bot: Bot, channel: Channel) -> bool:
        if bot.id in channel.between:
            return True
        return channel.guild is not None and bot.id in channel.guild.members and channel.id not in bot.denied

    def may_meet(self, bot: Bot, person: str) -> bool:
        return person in bot.added_by or any(
            {bot.id, person} <= set(guild.members) for guild in self.guilds.values()
        )

    def open_channel(self, bot: Bot, ref: str) -> Channel:
        """One that the bot may see."""
        channel = self.channels.get(ref)
        if channel is None:
            raise Refusal(404, 10003, "Unknown Channel")
        if not self.sees(bot, channel):
            raise Refusal(403, 50001, "Missing Access")
        return channel

    def message_in(self, channel: Channel, ref: str) -> dict[str, Any]:
        if ref not in channel.messages:
            raise Refusal(404, 10008, "Unknown Message")
        return channel.messages[ref]

    def channel_wire(self, channel: Channel) -> dict[str, Any]:
        about: dict[str, Any] = {"id": channel.id, "type": channel.type, "last_message_id": None}
        if channel.between:
            return about | {"recipients": [self.user(ref) for ref in channel.between[1:]]}
        assert channel.guild is not None, "of a server"
        about |= {"guild_id": channel.guild.id, "name": channel.name, "parent_id": channel.parent,
                  "position": 0, "permission_overwrites": [], "nsfw": False,
                  "rate_limit_per_user": 0}  # fmt: skip
        if channel.type == THREAD:
            times = {"archive_timestamp": self.stamp(), "auto_archive_duration": 1440, "locked": False}
            about |= {"owner_id": "1", "thread_metadata": {"archived": channel.archived, **times},
                      "message_count": 0, "member_count": 1}  # fmt: skip
        return about

    def stand(
        self, channel: Channel, author: Mapping[str, Any], content: str, more: Mapping[str, Any]
    ) -> dict[str, Any]:
        """A new message, as it stands in the channel."""
        ref = self.new_id()
        message: dict[str, Any] = {
            "id": ref, "channel_id": channel.id, "author": dict(author), "content": content,
            "timestamp": self.stamp(), "edited_timestamp": None, "tts": False, "mention_everyone": False,
            **self.calls(channel, content), "attachments": [], "embeds": [], "components": [],
            "pinned": False, "type": 0, **more,
        }  # fmt: skip
        channel.messages[ref] = message
        return message

    def calls(self, channel: Channel, content: str) -> dict[str, Any]:
        """Whom the words of a message call."""
        users = [self.user(ref) for ref in dict.fromkeys(_USER.findall(content))]
        known = [role["id"] for role in channel.guild.roles] if channel.guild else []
        roles = [ref for ref in _ROLE.findall(content) if ref in known]
        return {"mentions": [one for one in users if one], "mention_roles": roles}

    def rings_everyone(self, content: str, allowed: Mapping[str, Any] | None) -> bool:
        """Without `allowed_mentions` everybody whom it names is called."""
        parse = ["everyone"] if allowed is None else allowed.get("parse", [])
        return "everyone" in parse and _EVERYONE.search(content) is not None

    def with_files(self, message: dict[str, Any], files: list[StoredFile]) -> None:
        until = self.clock.now().timestamp() + _FILE_S
        message["attachments"] = [file.to_wire(self.base, until) for file in files]
        self.files |= {file.id: file for file in files}

    def fresh(self, message: dict[str, Any]) -> dict[str, Any]:
        """With addresses of its files that are good for a day from now."""
        known = [self.files[one["id"]] for one in message["attachments"] if one["id"] in self.files]
        until = self.clock.now().timestamp() + _FILE_S
        return {**message, "attachments": [file.to_wire(self.base, until) for file in known]}

    def stamp(self) -> str:
        return self.clock.now().isoformat()
