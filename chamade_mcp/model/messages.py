"""Messages and files as every layer below the API sees them."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from chamade_mcp.model.ids import FileId, MessageRef, ThreadRef


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file beside a message. `url` is served by this gateway; never the platform's own."""

    name: str
    mime: str
    size_bytes: int
    url: str
    file_id: FileId
    known: bool = field(default=False, compare=False)
    """It was here before the message that it comes with."""

    def to_wire(self) -> dict[str, object]:
        """The shape of CONTRACT section 4.3."""
        return {"name": self.name, "mime": self.mime, "size": self.size_bytes, "url": self.url}


class Outgoing(NamedTuple):
    """What an agent says. The same `key` twice is sent once."""

    key: str
    text: str
    """In the manifest's `format` and within its limit: to be sent as it is. "" with attachments alone."""
    sender_name: str = ""
    attachments: tuple[Attachment, ...] = ()
    markdown: str = ""
    """The Markdown that `text` was made of, for a platform whose messages are no text, such as cards."""
    reply_to: MessageRef | None = None
    """The message this one quotes. Gone meanwhile, it is no reason to fail: send without."""
    thread: ThreadRef | None = None
    by_hand: bool = False
    """The agent's owner wrote it, whose name `sender_name` is: it must not look like the agent's words."""


def well_formed(text: str) -> str:
    """`text` with a mark for each half of a surrogate pair, which no database and no frame can carry."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def plain_text(text: str) -> str:
    """What somebody wrote, as it is safe to show and to hand to a model: well formed, every line break a
    newline, and nothing in it that is invisible, reorders what is seen, or steers a terminal.

    Joiners, direction marks and variation selectors stay, since scripts and emoji need them; so do tag
    characters in the flags that are made of them, and nowhere else: elsewhere they spell unseen words.
    """
    if text.isprintable():  # one line without any of those, as most is
        return text
    text = _LINE_BREAK.sub("\n", well_formed(text))
    return _UNSEEN.sub(lambda found: found[1] or "", text)


def plain_line(name: str) -> str:
    """`plain_text` for a name: in one line, so that it cannot look like something said below it."""
    return " ".join(plain_text(name).split())


_LINE_BREAK: Final = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_UNSEEN: Final = re.compile(
    # A black flag with tags and their end is one emoji, and is kept.
    "(\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,6}\U000e007f)"
    # Controls; embeddings, overrides and isolates; invisible operators; annotations; tags.
    "|[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


class DeliveryState(StrEnum):
    PENDING = "pending"
    """Stored by the gateway, and not out yet."""
    SENT = "sent"
    """The platform has taken it; whether it arrives, a `DeliveryChanged` tells."""
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """A timeout is not a failure."""


class Delivery(NamedTuple):
    """What became of one attempt to send. `ref` is the platform's id of the message."""

    state: DeliveryState
    ref: MessageRef | None = None
    detail: str = ""


class Sender(NamedTuple):
    """Who wrote, in the platform's words. `ref` is stable for that person on that platform."""

    ref: str
    name: str
