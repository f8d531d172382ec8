"""What agents have lately done to messages."""

from collections import deque
from collections.abc import Callable
from typing import Final

from chamade_mcp.connectors.web.post import Post
from chamade_mcp.model.ids import ConversationRef

_REMEMBERED: Final = 200

Revise = Callable[[Post, str], Post]
"""What is made of a message by the agent or a person; with it comes the agent's name."""


class Lately:
    """The core notes a change once the platform has made it: a page opened in between reads the message as it
    was, and is shown it as it is. The newest changes are remembered, in order; twice the same is harmless."""

    def __init__(self) -> None:
        self._changes: deque[tuple[ConversationRef, str, Revise]] = deque(maxlen=_REMEMBERED)

    def note(self, conversation: ConversationRef, post_id: str, revise: Revise) -> None:
        self._changes.append((conversation, post_id, revise))

    def of(self, conversation: ConversationRef, post_id: str) -> list[Revise]:
        return [revise for *where, revise in self._changes if where == [conversation, post_id]]
