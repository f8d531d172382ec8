"""Messages and files as every layer below the API sees them."""

from dataclasses import dataclass
from enum import StrEnum

from chamade_mcp.model.ids import FileId, MessageRef


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file beside a message. `url` is served by this gateway; never the platform's own."""

    name: str
    mime: str
    size_bytes: int
    url: str
    file_id: FileId

    def to_wire(self) -> dict[str, object]:
        """The shape of CONTRACT section 4.3."""
        return {"name": self.name, "mime": self.mime, "size": self.size_bytes, "url": self.url}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What an agent says. The same `key` twice is sent once."""

    key: str
    text: str
    sender_name: str = ""
    attachments: tuple[Attachment, ...] = ()


def well_formed(text: str) -> str:
    """`text` with a mark for each half of a surrogate pair, which no database and no frame can carry."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """A timeout is not a failure."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one attempt to send. `ref` is the platform's id of the message."""

    state: DeliveryState
    ref: MessageRef | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who wrote, in the platform's words. `ref` is stable for that person on that platform."""

    ref: str
    name: str
