"""The routes of the emulated REST API that bots use."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from chamade_mcp.connectors.discord.emulated_gateway import Gateway
from chamade_mcp.connectors.discord.emulated_world import (
    DM,
    Bot,
    Channel,
    Refusal,
    StoredFile,
    World,
    invalid,
)
from chamade_mcp.connectors.discord.wire import members

_TEXT: Final = 2000
_NONCE: Final = 25
_FILE_BYTES: Final = 10 * 1024 * 1024
_MOST_FILES: Final = 10
_SNOWFLAKE: Final = re.compile("[0-9]{1,20}")
_CUSTOM: Final = re.compile(r"\w{2,32}:[0-9]{1,20}", re.ASCII)
_NO_EMOJI: Final = re.compile(r"[\x00-\x7f]*")


@dataclass(frozen=True, slots=True)
class Upload:
    field: str
    name: str
    mime: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    bot: Bot
    ids: Sequence[str]
    body: dict[str, Any]
    uploads: Sequence[Upload]


Answer = dict[str, Any] | list[Any] | None
Serving = Callable[[Asked], Answer]


class Rest:
    def __init__(self, world: World, gateway: Gateway) -> None:
        self._world = world
        self._gateway = gateway
        one = r"/channels/([^/]+)/messages/([^/]+)"
        routes: tuple[tuple[str, str, Serving], ...] = (
            ("GET", "/users/@me", lambda asked: asked.bot.to_wire()),
            ("GET", "/users/([0-9]+)", self._user),
            ("GET", "(?:/oauth2)?/applications/@me", self._application),
            ("GET", "/gateway/bot", self._entrance),
            ("POST", "/users/@me/channels", self._direct),
            ("GET", "/channels/([^/]+)", self._channel),
            ("GET", "/guilds/([^/]+)", self._guild),
            ("POST", "/channels/([^/]+)/messages", self._create),
            ("GET", one, self._message),
            ("PATCH", one, self._edit),
            ("DELETE", one, self._delete),
            ("POST", "/channels/([^/]+)/typing", self._typing),
            ("PUT", one + "/reactions/([^/]+)/@me", self._react),
            ("DELETE", one + "/reactions/([^/]+)/@me", self._unreact),
            ("POST", "/applications/([^/]+)/commands", self._command),
            ("GET", "/applications/([^/]+)/commands", self._commands),
        )
        self._routes = [(method, re.compile(path), serving) for method, path, serving in routes]

    def route(self, method: str, path: str) -> tuple[str, Sequence[str], Serving]:
        """The route's name, the ids in the path, and what serves it."""
        for known, pattern, serving in self._routes:
            found = pattern.fullmatch(path)
            if found is not None and known == method:
                return f"{method} {pattern.pattern}", [unquote(ref) for ref in found.groups()], serving
        raise Refusal(404, 0, "404: Not Found")

    # --- who -----------------------------------------------------------------------------------------------

    def _user(self, asked: Asked) -> Answer:
        user = self._world.user(asked.ids[0])
        if user is None:
            raise Refusal(404, 10013, "Unknown User")
        return user

    def _application(self, asked: Asked) -> Answer:
        bot = asked.bot
        return {"id": bot.app_id, "name": bot.username, "icon": None, "description": "", "bot_public": True,
                "bot_require_code_grant": False, "verify_key": "", "flags": bot.flags, "team": None,
                "owner": {"id": "1", "username": "owner", "discriminator": "0", "avatar": None},
                "bot": bot.to_wire()}  # fmt: skip

    def _entrance(self, asked: Asked) -> Answer:
        limit = {"total": 1000, "remaining": asked.bot.starts_left, "reset_after": 14_400_000,
                 "max_concurrency": 1}  # fmt: skip
        url = self._world.base.replace("http", "ws", 1)
        return {"url": f"{url}/gateway", "shards": 1, "session_start_limit": limit}

    # --- where ---------------------------------------------------------------------------------------------

    def _direct(self, asked: Asked) -> Answer:
        person = str(asked.body.get("recipient_id", ""))
        if person not in self._world.people:
            raise invalid("recipient_id", "INVALID_RECIPIENT", "Invalid Recipient(s)")
        return self._world.channel_wire(self._world.direct(asked.bot, person))

    def _channel(self, asked: Asked) -> Answer:
        return self._world.channel_wire(self._place(asked))

    def _guild(self, asked: Asked) -> Answer:
        guild = self._world.guilds.get(asked.ids[0])
        if guild is None or asked.bot.id not in guild.members:
            raise Refusal(404, 10004, "Unknown Guild")
        return guild.to_wire()

    def _typing(self, asked: Asked) -> Answer:
        self._place(asked).typing += 1
        return None

    # --- messages ------------------------------------------------------------------------------------------

    def _create(self, asked: Asked) -> Answer:
        world, channel, body = self._world, self._place(asked), asked.body
        self._may_speak(asked.bot, channel)
        content, nonce = _content(body), body.get("nonce")
        if nonce is not None and len(str(nonce)) > _NONCE:
            raise invalid("nonce", "NONCE_TYPE_TOO_LONG", "Must be between 1 and 25 in length.")
        known = world.nonces.get((asked.bot.id, channel.id, str(nonce)))
        if nonce is not None and body.get("enforce_nonce") and known in channel.messages:
            return channel.messages[known]
        files = self._files(asked, channel)
        if not (content or files or body.get("embeds") or body.get("sticker_ids")):
            raise Refusal(400, 50006, "Cannot send an empty message")
        more = self._reply(channel, body) | ({} if nonce is None else {"nonce": nonce})
        if world.rings_everyone(content, body.get("allowed_mentions")):
            more["mention_everyone"] = True
        message = world.stand(channel, asked.bot.to_wire(), content, more)
        world.with_files(message, files)
        if nonce is not None:
            world.nonces[asked.bot.id, channel.id, str(nonce)] = message["id"]
        self._gateway.tell(channel, "MESSAGE_CREATE", message)
        return message

    def _reply(self, channel: Channel, body: Mapping[str, Any]) -> dict[str, Any]:
        reference = members(body.get("message_reference"))
        ref = str(reference.get("message_id", ""))
        if not ref:
            return {}
        quoted = channel.messages.get(ref)
        if quoted is None:
            if reference.get("fail_if_not_exists", True):
                raise invalid("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
            return {}
        about = {"type": 0, "message_id": ref, "channel_id": channel.id}
        return {"type": 19, "message_reference": about, "referenced_message": quoted}

    def _message(self, asked: Asked) -> Answer:
        return self._world.fresh(self._world.message_in(self._place(asked), asked.ids[1]))

    def _edit(self, asked: Asked) -> Answer:
        channel = self._place(asked)
        message = self._world.message_in(channel, asked.ids[1])
        _open(channel)
        if message["author"]["id"] != asked.bot.id:
            raise Refusal(403, 50005, "Cannot edit a message authored by another user")
        content = _content(asked.body)
        if not content and not message["attachments"]:
            raise Refusal(400, 50006, "Cannot send an empty message")
        return self.change(channel, message["id"], content)

    def change(self, channel: Channel, ref: str, content: str) -> dict[str, Any]:
        calls = self._world.calls(channel, content)
        edited = {"content": content, "edited_timestamp": self._world.stamp(), **calls}
        message = channel.messages[ref] | edited
        channel.messages[ref] = message
        self._gateway.tell(channel, "MESSAGE_UPDATE", message)
        return message

    def _delete(self, asked: Asked) -> Answer:
        channel = self._place(asked)
        message = self._world.message_in(channel, asked.ids[1])
        if message["author"]["id"] != asked.bot.id:
            direct = channel.type == DM
            raise Refusal(403, 50003 if direct else 50013, "Missing Permissions")
        self.remove(channel, message["id"])
        return None

    def remove(self, channel: Channel, ref: str) -> None:
        del channel.messages[ref]
        self._gateway.tell(channel, "MESSAGE_DELETE", {"id": ref, "channel_id": channel.id})

    # --- reactions -----------------------------------------------------------------------------------------

    def _react(self, asked: Asked) -> Answer:
        channel = self._place(asked)
        if _CUSTOM.fullmatch(asked.ids[2]) is None and _NO_EMOJI.fullmatch(asked.ids[2]):
            raise Refusal(400, 10014, "Unknown Emoji")
        _open(channel)
        self.react(channel, asked.ids[1], asked.bot.id, asked.ids[2], added=True)
        return None

    def _unreact(self, asked: Asked) -> Answer:
        self.react(self._place(asked), asked.ids[1], asked.bot.id, asked.ids[2], added=False)
        return None

    def react(self, channel: Channel, ref: str, user: str, emoji: str, *, added: bool) -> None:
        put: dict[str, list[str]] = self._world.message_in(channel, ref).setdefault("put", {})
        users = put.setdefault(emoji, [])
        if added == (user in users):
            return
        users.append(user) if added else users.remove(user)
        name, _, custom = emoji.partition(":")
        about: dict[str, Any] = {
            "user_id": user, "channel_id": channel.id, "message_id": ref, "burst": False, "type": 0,
            "emoji": {"id": custom or None, "name": name},
        }  # fmt: skip
        if added and channel.guild is not None:
            member = self._world.member(channel.guild, user)
            about["member"] = {"user": self._world.user(user), **member}
        self._gateway.tell(channel, f"MESSAGE_REACTION_{'ADD' if added else 'REMOVE'}", about)

    # --- commands ------------------------------------------------------------------------------------------

    def _command(self, asked: Asked) -> Answer:
        if asked.ids[0] != asked.bot.app_id:
            raise Refusal(403, 20012, "You are not authorized to perform this action on this application")
        name = str(asked.body.get("name", ""))
        if re.fullmatch(r"[a-z0-9_-]{1,32}", name) is None:
            raise invalid("name", "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
        known = asked.bot.commands.get(name, {"id": self._world.new_id()})
        command = {**asked.body, "id": known["id"], "application_id": asked.bot.app_id, "type": 1,
                   "version": self._world.new_id(), "default_member_permissions": None}  # fmt: skip
        asked.bot.commands[name] = command
        return command

    def _commands(self, asked: Asked) -> Answer:
        return list(asked.bot.commands.values())

    # --- inside --------------------------------------------------------------------------------------------

    def _place(self, asked: Asked) -> Channel:
        for ref in asked.ids[:2]:
            if _SNOWFLAKE.fullmatch(ref) is None:
                raise invalid("channel_id", "NUMBER_TYPE_COERCE", f'Value "{ref}" is not snowflake.')
        return self._world.open_channel(asked.bot, asked.ids[0])

    def _may_speak(self, bot: Bot, channel: Channel) -> None:
        if channel.between:
            person = self._world.people[channel.between[1]]
            if person.blocks:
                raise Refusal(403, 50007, "Cannot send messages to this user")
            if not self._world.may_meet(bot, person.id) and not channel.messages:
                raise Refusal(403, 50278, "Cannot send messages to this user due to having no mutual guilds")
        if channel.locked:
            raise Refusal(403, 160005, "Thread is locked")
        channel.archived = False

    def _files(self, asked: Asked, channel: Channel) -> list[StoredFile]:
        told: list[object] = asked.body.get("attachments") or []
        listed = [members(one) for one in told]
        by_field = {upload.field: upload for upload in asked.uploads}
        if len(by_field) > _MOST_FILES:
            raise invalid("attachments", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
        found: list[StoredFile] = []
        for number, upload in enumerate(asked.uploads):
            if len(upload.body) > _FILE_BYTES:
                raise Refusal(413, 40005, "Request entity too large")
            names = [one.get("filename") for one in listed if f"files[{one.get('id')}]" == upload.field]
            name = re.sub(r"[^\w.-]", "_", str(next(iter(names), None) or upload.name or f"file{number}"))
            found.append(StoredFile(self._world.new_id(), name, upload.mime, upload.body, channel.id))
        if any(f"files[{one.get('id')}]" not in by_field for one in listed):
            raise Refusal(400, 50046, "Invalid file uploaded")
        return found


def _open(thread: Channel) -> None:
    if thread.archived:
        raise Refusal(400, 50083, "Thread is archived")


def _content(body: Mapping[str, Any]) -> str:
    content = body.get("content")
    text = "" if content is None else str(content)
    if len(text) > _TEXT:
        raise invalid("content", "BASE_TYPE_MAX_LENGTH", "Must be 2000 or fewer in length.")
    return text.strip()
