"""Slack's JSON, as typed as the gateway needs it. Pure; nothing but `Unreadable` is raised.

Shapes: https://docs.slack.dev/apis/events-api and https://docs.slack.dev/reference/events/message
"""

import json
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, Final, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SAID: Final = frozenset({"", "file_share", "thread_broadcast", "me_message", "bot_message"})
"""Subtypes of messages in which somebody says something; the others tell of joins, topics and the like."""

Ts = Annotated[str, Field(pattern=r"^[0-9]{1,11}\.[0-9]{1,9}$")]
"""Seconds and a counter: names a message within its channel. Never a number: digits would be lost."""
Id = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,40}$")]


class Unreadable(ValueError):
    """It is nothing that Slack sends."""


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class File(_Wire):
    id: Id
    name: str | None = None
    title: str | None = None
    mimetype: str | None = None
    size: int | None = None
    mode: str = ""
    url_private: str = ""

    @property
    def is_here(self) -> bool:
        """Slack has its bytes: it is no link to another service, and not gone."""
        return self.mode not in ("external", "tombstone", "hidden_by_limit")

    @property
    def shown_name(self) -> str:
        return self.name or self.title or "file"


class _BotProfile(_Wire):
    name: str = ""


class _Attached(_Wire):
    """A "secondary attachment": how apps wrote before blocks, and how messages are forwarded."""

    fallback: str | None = None
    text: str | None = None


class Said(_Wire):
    """A message as it stands in a channel."""

    ts: Ts
    subtype: str = ""
    user: Id | None = None
    bot_id: Id | None = None
    username: str | None = None
    bot_profile: _BotProfile | None = None
    text: str | None = None
    thread_ts: Ts | None = None
    files: tuple[File, ...] = Field(default=(), strict=False)
    attachments: tuple[_Attached, ...] = Field(default=(), strict=False)

    @property
    def words(self) -> str:
        """In mrkdwn, escaped. Of a forwarded message, or one of an old app, what is attached."""
        if self.text:
            return self.text
        attached = [one.text or one.fallback or "" for one in self.attachments]
        links = [f"<{file.url_private}>" for file in self.files if file.mode == "external"]
        return "\n".join(line for line in (*attached, *links) if line)

    @property
    def kept_files(self) -> list[File]:
        return [file for file in self.files if file.is_here]

    @property
    def author(self) -> str | None:
        return self.user or self.bot_id

    @property
    def author_name(self) -> str:
        """Of an app, which has one with every message."""
        return self.username or (self.bot_profile.name if self.bot_profile else "")

    @property
    def thread(self) -> str | None:
        """The message that opened the thread it stands in; None for one that stands in the channel."""
        return None if self.thread_ts in (None, self.ts) else self.thread_ts

    @property
    def sent_at(self) -> datetime:
        return _EPOCH + timedelta(seconds=int(self.ts.partition(".")[0]))


class _Placed(_Wire):
    channel: Id
    channel_type: str = ""

    @property
    def direct(self) -> bool:
        """Said to the app alone."""
        return self.channel_type == "im" or (not self.channel_type and self.channel.startswith("D"))

    @property
    def nameless(self) -> bool:
        """A conversation of a few people, which has no name of its own."""
        return self.channel_type == "mpim"


class Message(Said, _Placed):
    pass


class Changed(_Placed):
    message: Said
    previous_message: Said | None = None

    @property
    def gone(self) -> bool:
        """What opened a thread leaves a stone behind when it is deleted."""
        return self.message.subtype == "tombstone"

    @property
    def same(self) -> bool:
        """The words stayed: Slack added the preview of a link, or a reply was counted."""
        before = self.previous_message
        return before is not None and before.words == self.message.words


class Deleted(_Placed):
    deleted_ts: Ts


class _Item(_Wire):
    channel: Id
    ts: Ts


class _Typed(_Wire):
    type: str = ""


class _Reaction(_Wire):
    """What people put emoji on: files had them once, too."""

    item: _Typed


class Reacted(_Wire):
    type: str
    user: Id
    reaction: str = Field(min_length=1, max_length=200)
    item: _Item

    @property
    def added(self) -> bool:
        return self.type == "reaction_added"


class Revoked(_Wire):
    """The app was removed from the workspace, or its token taken back."""

    type: str


class _Tokens(_Wire):
    bot: tuple[str, ...] | None = Field(default=None, strict=False)


class _TokensRevoked(_Wire):
    tokens: _Tokens


class _Authorization(_Wire):
    team_id: str | None = None


class Envelope(_Wire):
    """The body of a webhook, or the payload of an envelope of Socket Mode."""

    type: str
    challenge: str = Field(default="", max_length=1000)
    api_app_id: str = Field(default="", max_length=100)
    team_id: str | None = Field(default=None, max_length=100)
    authorizations: tuple[_Authorization, ...] | None = Field(default=None, strict=False)
    event: dict[str, Any] | None = None

    @cached_property
    def teams(self) -> list[str]:
        """The workspace that the app is installed in comes first: a shared channel's event names two."""
        found = [one.team_id for one in self.authorizations or ()] + [self.team_id]
        return [team for team in found if team]


# Without what `model_validate_json` does around it: some of the time that reading takes.
_read_json: Final = TypeAdapter(Envelope).validator.validate_json

Event = Message | Changed | Deleted | Reacted | Revoked


class SocketEnvelope(_Wire):
    """A frame of Socket Mode."""

    type: str
    envelope_id: str | None = Field(default=None, max_length=200)
    payload: Any = None
    reason: str = ""


def members(told: object) -> dict[str, Any]:
    """Of a JSON object; none of anything else."""
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}


def read_envelope(raw: bytes) -> Envelope:
    """A webhook's body."""
    try:
        return _read_json(raw)
    except (ValidationError, RecursionError) as error:
        raise Unreadable("not an event of Slack's") from error


def read_frame(raw: str | bytes) -> SocketEnvelope:
    try:
        return SocketEnvelope.model_validate(json.loads(raw))
    except (ValueError, RecursionError) as error:
        raise Unreadable("not a frame of Socket Mode") from error


def read_payload(payload: object) -> Envelope:
    """Of a frame of the type ``events_api``."""
    try:
        return Envelope.model_validate(payload)
    except (ValidationError, RecursionError) as error:
        raise Unreadable("not an event of Slack's") from error


def read_event(envelope: Envelope) -> Event | None:
    """What happened; None for what the gateway has no use for."""
    if envelope.type != "event_callback":
        return None
    if not envelope.event:
        raise Unreadable("an envelope without an event")
    try:
        return _event(envelope.event)
    except (ValidationError, RecursionError) as error:
        raise Unreadable("an event of Slack's with other fields than it has") from error


def _event(told: dict[str, Any]) -> Event | None:
    kind, subtype = told.get("type"), told.get("subtype") or ""
    if kind in ("message", "app_mention"):
        if subtype == "message_changed":
            return Changed.model_validate(told)
        if subtype == "message_deleted":
            return Deleted.model_validate(told)
        return Message.model_validate(told) if subtype in _SAID else None
    if kind in ("reaction_added", "reaction_removed"):
        on_message = _Reaction.model_validate(told).item.type == "message"
        return Reacted.model_validate(told) if on_message else None
    if kind == "tokens_revoked":
        return Revoked(type=kind) if _TokensRevoked.model_validate(told).tokens.bot else None
    return Revoked(type=kind) if kind == "app_uninstalled" else None
