"""What pages are told: dataclasses to text frames. Pure; `incoming` is the other way."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from chamade_mcp.audio.frame import FRAME_MS
from chamade_mcp.connectors.web.post import Kind, Post
from chamade_mcp.model.limits import MAX_TEXT

SAMPLE_RATE_HZ = 48_000


class ErrorCode(StrEnum):
    INVALID_MESSAGE = "INVALID_MESSAGE"
    TEXT_TOO_LONG = "TEXT_TOO_LONG"
    UNKNOWN_FILE = "UNKNOWN_FILE"
    UNKNOWN_MESSAGE = "UNKNOWN_MESSAGE"
    RATE_LIMITED = "RATE_LIMITED"
    STORE_FAILED = "STORE_FAILED"


class ClosedReason(StrEnum):
    REVOKED = "revoked"
    EXPIRED = "expired"
    REPLACED = "replaced"
    FULL = "full"
    SHUTDOWN = "shutdown"


class CallingState(StrEnum):
    RINGING = "ringing"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    MISSED = "missed"


class Refused(Exception):
    """A person's message that is not accepted; the socket stays open. `key` names what it was about."""

    def __init__(self, code: ErrorCode, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.key = key


@dataclass(frozen=True, slots=True)
class Participant:
    id: str
    name: str
    kind: Kind
    muted: bool = False

    def to_wire(self) -> dict[str, object]:
        return {"id": self.id, "name": self.name, "kind": self.kind, "muted": self.muted}


def _message(type_: str, **fields: object) -> str:
    # Escaped to ASCII on purpose: agents' texts and file names may hold half characters, which no
    # encoder takes.
    return json.dumps({"type": type_, **fields}, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Welcome:
    you: str
    guest: str
    kind: str
    title: str
    agent_name: str
    participants: Sequence[Participant]
    posts: Iterable[Post]
    file_bytes: int
    can: Sequence[str] = ()
    """What may be done to messages here."""
    recorded: bool = False

    def message(self) -> str:
        return _message(
            "welcome",
            you=self.you,
            guest=self.guest,
            kind=self.kind,
            title=self.title,
            agent_name=self.agent_name,
            participants=[p.to_wire() for p in self.participants],
            messages=[p.to_wire() for p in self.posts],
            sample_rate=SAMPLE_RATE_HZ,
            frame_ms=FRAME_MS,
            limits={"text": MAX_TEXT, "file_bytes": self.file_bytes},
            can=list(self.can),
            recorded=self.recorded,
        )


def joined(participant: Participant) -> str:
    return _message("joined", participant=participant.to_wire())


def left(participant_id: str) -> str:
    return _message("left", id=participant_id)


def changed(participant: Participant) -> str:
    return _message("changed", participant=participant.to_wire())


def chat(post: Post) -> str:
    return _message("chat", message=post.to_wire())


def revised(post: Post) -> str:
    return _message("revised", message=post.to_wire())


def ack(key: str, post_id: str) -> str:
    return _message("ack", key=key, id=post_id)


def typing(participant_id: str, name: str) -> str:
    return _message("typing", id=participant_id, name=name)


def levels(of: Mapping[str, float]) -> str:
    """RMS 0-1 by participant, to two decimals."""
    return _message("levels", levels={key: round(min(level, 1.0), 2) for key, level in of.items()})


def caption(speaker: str, text: str) -> str:
    return _message("caption", speaker=speaker, text=text)


def recorded(on: bool) -> str:
    return _message("recorded", on=on)


def calling(state: CallingState, room_url: str | None = None) -> str:
    return (
        _message("calling", state=state)
        if room_url is None
        else _message("calling", state=state, room_url=room_url)
    )


def pong(t: float) -> str:
    return _message("pong", t=t)


def error(refused: Refused) -> str:
    fields: dict[str, object] = {"code": refused.code, "message": refused.message}
    if refused.key is not None:
        fields["key"] = refused.key
    return _message("error", **fields)


def closed(reason: ClosedReason) -> str:
    return _message("closed", reason=reason)
