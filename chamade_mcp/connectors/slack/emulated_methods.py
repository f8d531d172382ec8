"""The methods of the emulated Web API."""

import json
from typing import Any, Final, cast

from chamade_mcp.connectors.slack.emulated_delivery import Delivery
from chamade_mcp.connectors.slack.emulated_oauth import uninstalled
from chamade_mcp.connectors.slack.emulated_world import Bot, Channel, Refusal, StoredFile, World
from chamade_mcp.connectors.slack.wire import members

_SCOPES: Final = {
    "auth.test": "",
    "auth.revoke": "",
    "bots.info": "users:read",
    "users.info": "users:read",
    "conversations.info": "channels:read",
    "conversations.open": "im:write",
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "chat.delete": "chat:write",
    "reactions.add": "reactions:write",
    "reactions.remove": "reactions:write",
    "files.getUploadURLExternal": "files:write",
    "files.completeUploadExternal": "files:write",
    "files.info": "files:read",
}
_TEXT: Final = 40_000
_UPDATE: Final = 4000
_SECTION: Final = 3000
_ALL_BLOCKS: Final = 13_200
_MOST_BLOCKS: Final = 50
_BLOCKS: Final = frozenset({"section", "divider", "header", "context", "rich_text", "image", "markdown"})
_SHARED_AFTER_S: Final = 0.05


class Methods:
    def __init__(self, world: World, delivery: Delivery) -> None:
        self._world = world
        self._delivery = delivery

    def call(self, method: str, token: str, params: dict[str, Any]) -> dict[str, Any]:
        """Raises `Refusal`."""
        if method == "apps.connections.open":
            return self._connect(token)
        if method not in _SCOPES:
            raise Refusal("unknown_method", req_method=method)
        bot, needed = self._world.authorised(token), _SCOPES[method]
        if needed and needed not in bot.scopes:
            raise Refusal("missing_scope", needed=needed, provided=",".join(sorted(bot.scopes)))
        serving = getattr(self, "_" + method.replace(".", "_"))
        return serving(bot, params)

    # --- who -----------------------------------------------------------------------------------------------

    def _connect(self, token: str) -> dict[str, Any]:
        apps = {bot.app.app_token: bot.app for bot in self._world.bots.values()}
        if not token:
            raise Refusal("not_authed")
        if token in self._world.bots:
            raise Refusal("not_allowed_token_type")
        if token not in apps or token in self._world.spent:
            raise Refusal("invalid_auth")
        app = apps[token]
        if not app.socket_mode:
            raise Refusal("socket_mode_disabled")
        url = f"{self._world.base.replace('http', 'ws', 1)}/link/?ticket={self._delivery.ticket(app)}"
        return {"url": f"{url}&app_id={app.id}"}

    def _auth_test(self, bot: Bot, params: dict[str, Any]) -> dict[str, Any]:
        return {
            "url": "https://acme.slack.com/", "team": self._world.teams[bot.team], "user": bot.app.name,
            "team_id": bot.team, "user_id": bot.user, "bot_id": bot.bot_id, "is_enterprise_install": False,
        }  # fmt: skip

    def _auth_revoke(self, bot: Bot, params: dict[str, Any]) -> dict[str, Any]:
        self.uninstall(bot)
        return {"revoked": True}

    def _bots_info(self, bot: Bot, params: dict[str, Any]) -> dict[str, Any]:
        for known in self._world.bots.values():
            if known.bot_id == params.get("bot") and known.team == bot.team:
                about = {"id": known.bot_id, "app_id": known.app.id, "user_id": known.user}
                return {"bot": {**about, "name": known.app.name, "deleted": False}}
        raise Refusal("bot_not_found")

    def _users_info(self, bot: Bot, params: dict[str, Any]) -> dict[str, Any]:
        for known in self._world.bots.values():
            if known.user == params.get("user"):
                return {"user": known.to_wire()}
        person = self._world.people.get(str(params.get("user")))
        if person is None or person.team != bot.team:
            raise Refusal("user_not_found")
        return {"user": person.to_wire()}

    def _conversations_info(self, bot: Bot, params: dict[str, Any]) -> dict[str, Any]:
        channel = self._world.channels.get(str(params.get("channel")))
        if channel is None or (channel.kind != "channel" and bot.user not in channel.members):
            raise Refusal("channel_not_found")
        return {"channel": channel.to_wire(bot.user)}

    def _conversations_open(self, bot: Bot, params: dict[str, Any]) -> dict[str, Any]:
        users = [user for user in str(params.get("users") or "").split(",") if user]
        if not users:
            raise Refusal("users_list_not_supplied")
        if any(user not in self._world.people for user in users):
            raise Refusal("user_not_found")
        if len(users) == 1:
            return {"channel": {"id": self._world.direct(bot, users[0]).id}}
        return {"channel": {"id": self._world.new_channel("mpim", "mpdm", bot.team, {bot.user, *users}).id}}

    # --- messages ------------------------------------------------------------------------------------------

    def _chat_postMessage(self, bot: Bot, params: dict[str, Any]) -> dict[str, Any]:
        channel = self._world.open_channel(bot, params.get("channel"))
        said, warned = _content(params)
        self._world.count(channel)
        thread = params.get("thread_ts")
        if thread and str(thread) not in channel.messages:
            raise Refusal("thread_not_found")
        place = {"thread_ts": str(thread)} if thread else {}
        message = self._world.stand(channel, _author(bot), {**said, **place})
        self.tell(channel, message)
        return {"channel": channel.id, "ts": message["ts"], "message": message, **warned}

    def _chat_update(self, bot: Bot, params: dict[str, Any]) -> dict[str, Any]:
        channel = self._world.open_channel(bot, params.get("channel"))
        before = self._own(bot, channel, params, "cant_update_message")
        if len(str(params.get("text") or "")) > _UPDATE:
            raise Refusal("msg_too_long")
        said, _ = _content(params)
        # What is not named stays: blocks above all.
        stays = {} if "blocks" in params else {k: v for k, v in before.items() if k == "blocks"}
        kept = {key: value for key, value in before.items() if key != "blocks"}
        edited = {"edited": {"user": bot.user, "ts": self._world.new_ts()}}
        after = {**kept, **stays, **said, **edited}
        channel.messages[before["ts"]] = after
        self.tell(channel, {"subtype": "message_changed", "message": after, "previous_message": before})
        return {"channel": channel.id, "ts": before["ts"], "text": after["text"], "message": after}

    def _chat_delete(self, bot: Bot, params: dict[str, Any]) -> dict[str, Any]:
        channel = self._world.open_channel(bot, params.get("channel"))
        message = self._own(bot, channel, params, "cant_delete_message")
        self.remove(channel, message["ts"])
        return {"channel": channel.id, "ts": message["ts"]}

    def _reactions_add(self, bot: Bot, params: dict[str, Any]) -> dict[str, Any]:
        channel, message, name = self._reacting(bot, params)
        users = message.setdefault("reactions", {}).setdefault(name, [])
        if bot.user in users:
            raise Refusal("already_reacted")
        users.append(bot.user)
        self.react(channel, message["ts"], bot.user, name, added=True)
        return {}

    def _reactions_remove(self, bot: Bot, params: dict[str, Any]) -> dict[str, Any]:
        channel, message, name = self._reacting(bot, params)
        users = message.get("reactions", {}).get(name, [])
        if bot.user not in users:
            raise Refusal("no_reaction")
        users.remove(bot.user)
        self.react(channel, message["ts"], bot.user, name, added=False)
        return {}

    # --- files ---------------------------------------------------------------------------------------------

    def _files_getUploadURLExternal(self, bot: Bot, params: dict[str, Any]) -> dict[str, Any]:
        name, length = str(params.get("filename") or ""), str(params.get("length") or "")
        if not name or not length.isdigit():
            raise Refusal("invalid_arguments")
        ref, ticket = self._world.new_id("F"), f"up{next(self._world.numbers)}"
        self._world.files[ref] = StoredFile(
            ref, name, _mime(name), bot.user, bot.team, int(length), ticket=ticket
        )
        return {"upload_url": f"{self._world.base}/upload/v1/{ticket}", "file_id": ref}

    def _files_completeUploadExternal(self, bot: Bot, params: dict[str, Any]) -> dict[str, Any]:
        try:
            asked: Any = json.loads(params.get("files") or "[]")
            stored = [self._world.files[one["id"]] for one in asked]
        except (ValueError, KeyError, TypeError):
            raise Refusal("invalid_arguments") from None
        if not stored or any(file.body is None or file.owner != bot.user for file in stored):
            raise Refusal("file_not_found")
        for file, one in zip(stored, asked, strict=True):
            file.title = str(one.get("title") or file.name)
        if ref := params.get("channel_id"):
            channel = self._world.open_channel(bot, ref)
            self._world.count(channel)
            place = {"thread_ts": str(params["thread_ts"])} if params.get("thread_ts") else {}
            said = {"text": str(params.get("initial_comment") or ""), "subtype": "file_share", **place}
            self._delivery.later(self._share(bot, channel, stored, said))
        return {"files": [{"id": file.id, "title": file.title} for file in stored]}

    def _files_info(self, bot: Bot, params: dict[str, Any]) -> dict[str, Any]:
        file = self._world.files.get(str(params.get("file")))
        if file is None or file.team != bot.team or file.body is None:
            raise Refusal("file_not_found")
        return {"file": file.to_wire(self._world.base)}

    async def _share(self, bot: Bot, channel: Channel, files: list[StoredFile], said: dict[str, Any]) -> None:
        """The message comes a moment after the answer."""
        await self._world.clock.sleep(_SHARED_AFTER_S)
        self.share(channel, files, _author(bot), said)

    # --- for people, too -----------------------------------------------------------------------------------

    def share(
        self, channel: Channel, files: list[StoredFile], author: dict[str, Any], said: dict[str, Any]
    ) -> dict[str, Any]:
        shown = [file.to_wire(self._world.base) for file in files]
        message = self._world.stand(channel, author, {**said, "files": shown})
        where = "public" if channel.kind == "channel" else "private"
        for file in files:
            file.shares.setdefault(where, {}).setdefault(channel.id, []).append({"ts": message["ts"]})
        self.tell(channel, message)
        return message

    def uninstall(self, bot: Bot) -> None:
        """Its only token is revoked, and with that it is gone from the workspace."""
        self._world.revoke(bot)
        for event in uninstalled(bot):
            self._delivery.tell(bot, event)

    def tell(self, channel: Channel, what: dict[str, Any]) -> None:
        """All apps that are in the channel: that which said it, too."""
        event = {"type": "message", **what, "channel": channel.id, "channel_type": channel.kind}
        event.setdefault("ts", self._world.new_ts())
        event["event_ts"] = event["ts"]
        event.pop("reactions", None)
        history = {"im": "im", "mpim": "mpim", "group": "groups"}.get(channel.kind, "channels")
        for bot in list(self._world.bots.values()):
            if bot.user not in channel.members:
                continue
            if f"{history}:history" in bot.scopes:
                self._delivery.tell(bot, event)
            called = f"<@{bot.user}>" in str(event.get("text", "")) and not event.get("subtype")
            if called and channel.kind != "im" and "app_mentions:read" in bot.scopes:
                mention = {key: value for key, value in event.items() if key != "channel_type"}
                self._delivery.tell(bot, {**mention, "type": "app_mention"})

    def react(self, channel: Channel, ts: str, user: str, name: str, *, added: bool) -> None:
        kind = "reaction_added" if added else "reaction_removed"
        item = {"type": "message", "channel": channel.id, "ts": ts}
        owner = str(channel.messages[ts].get("user", ""))
        told = {"type": kind, "user": user, "reaction": name, "item": item, "item_user": owner}
        for bot in list(self._world.bots.values()):
            if bot.user in channel.members and "reactions:read" in bot.scopes:
                self._delivery.tell(bot, {**told, "event_ts": self._world.new_ts()})

    def remove(self, channel: Channel, ts: str) -> None:
        before = channel.messages.pop(ts)
        gone = {"subtype": "message_deleted", "hidden": True, "deleted_ts": ts, "previous_message": before}
        self.tell(channel, gone)

    # --- inside --------------------------------------------------------------------------------------------

    def _own(self, bot: Bot, channel: Channel, params: dict[str, Any], refusal: str) -> dict[str, Any]:
        message = channel.messages.get(str(params.get("ts")))
        if message is None:
            raise Refusal("message_not_found")
        if message.get("bot_id") != bot.bot_id:
            raise Refusal(refusal)
        return message

    def _reacting(self, bot: Bot, params: dict[str, Any]) -> tuple[Channel, dict[str, Any], str]:
        channel = self._world.open_channel(bot, params.get("channel"))
        message = channel.messages.get(str(params.get("timestamp")))
        if message is None:
            raise Refusal("message_not_found")
        name = str(params.get("name") or "")
        plain = name.replace("::skin-tone-", "_").replace("+", "").replace("-", "_")
        if not plain.replace("_", "").isalnum() or not plain.isascii():
            raise Refusal("invalid_name")
        return channel, message, name


def _author(bot: Bot) -> dict[str, Any]:
    profile = {"id": bot.bot_id, "app_id": bot.app.id, "name": bot.app.name, "team_id": bot.team}
    return {"user": bot.user, "bot_id": bot.bot_id, "app_id": bot.app.id, "bot_profile": profile}


def _content(params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is said, and the warning where it was cut."""
    text, raw = str(params.get("text") or ""), params.get("blocks")
    try:
        told: Any = json.loads(raw) if isinstance(raw, str) and raw else raw or []
    except ValueError:
        raise Refusal("invalid_blocks_format") from None
    if not isinstance(told, list):
        raise Refusal("invalid_blocks_format")
    blocks = cast("list[Any]", told)
    if not text and not blocks:
        raise Refusal("no_text")
    _check_blocks(blocks)
    said: dict[str, Any] = {"text": text[:_TEXT], **({"blocks": blocks} if blocks else {})}
    if len(text) <= _TEXT:
        return said, {}
    warned = {"warnings": ["message_truncated"]}
    return said, {"warning": "message_truncated", "response_metadata": warned}


def _check_blocks(blocks: list[Any]) -> None:
    total = 0
    if len(blocks) > _MOST_BLOCKS:
        raise Refusal("invalid_blocks")
    for block in blocks:
        about = members(block)
        if about.get("type") not in _BLOCKS:
            raise Refusal("invalid_blocks")
        text = str(members(about.get("text")).get("text", ""))
        if about["type"] == "section" and not 0 < len(text) <= _SECTION:
            words = ["[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]"]
            raise Refusal("invalid_blocks", response_metadata={"messages": words})
        total += len(text)
    if total > _ALL_BLOCKS:
        raise Refusal("msg_blocks_too_long")


def _mime(name: str) -> str:
    kinds = {"txt": "text/plain", "csv": "text/csv", "png": "image/png", "jpg": "image/jpeg"}
    return kinds.get(name.rpartition(".")[2].lower(), "application/octet-stream")
