"""Messages as pages show them, and what those who are here do to them."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from chamade_mcp.model.messages import Attachment, DeliveryState

MOST_REACTIONS: Final = 200
"""On one message, as the gateway keeps them."""


class Kind(StrEnum):
    PERSON = "person"
    AGENT = "agent"
    HOST = "host"
    """The person behind the agent, who answers in its place."""


@dataclass(frozen=True, slots=True)
class Reaction:
    emoji: str
    sender_id: str
    sender: str

    def to_wire(self) -> dict[str, object]:
        return {"emoji": self.emoji, "sender_id": self.sender_id, "sender": self.sender}


@dataclass(frozen=True, slots=True)
class Post:
    """A message as pages show it. `id` is the same live and from history: pages tell doubles by it."""

    id: str
    key: str
    sender: str
    sender_id: str
    kind: Kind
    text: str
    attachments: tuple[Attachment, ...]
    at: str
    reply_to: str | None = None
    """The id of the message it quotes."""
    edited_at: str | None = None
    deleted: bool = False
    reactions: tuple[Reaction, ...] = ()
    receipt: DeliveryState | None = None
    """How far a message of the agent has got; None where nobody asks."""

    def to_wire(self) -> dict[str, object]:
        return {
            "id": self.id,
            "key": self.key,
            "sender": self.sender,
            "sender_id": self.sender_id,
            "kind": self.kind,
            "text": self.text,
            "attachments": [a.to_wire() for a in self.attachments],
            "at": self.at,
            "reply_to": self.reply_to,
            "edited_at": self.edited_at,
            "deleted": self.deleted,
            "reactions": [r.to_wire() for r in self.reactions],
            "receipt": self.receipt,
        }

    def edited(self, text: str, at: str) -> "Post":
        return self if self.deleted or text == self.text else replace(self, text=text, edited_at=at)

    def taken_back(self) -> "Post":
        """That it was there stays; what it said goes."""
        return replace(
            self,
            text="",
            attachments=(),
            reply_to=None,
            edited_at=None,
            deleted=True,
            reactions=(),
            receipt=None,
        )

    def with_reaction(self, reaction: Reaction, *, on: bool) -> "Post":
        same = (reaction.emoji, reaction.sender_id)
        there = [r for r in self.reactions if (r.emoji, r.sender_id) == same]
        if self.deleted or bool(there) == on or (on and len(self.reactions) >= MOST_REACTIONS):
            return self
        others = tuple(r for r in self.reactions if r not in there)
        return replace(self, reactions=(*others, reaction) if on else others)


class Board:
    """The newest posts of a place by their ids, as they are now."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._posts: OrderedDict[str, Post] = OrderedDict()

    def get(self, post_id: str) -> Post | None:
        return self._posts.get(post_id)

    def put(self, post: Post) -> None:
        """Adds it, or puts it in the place of the same one."""
        self._posts[post.id] = post
        if len(self._posts) > self._most:
            self._posts.popitem(last=False)
