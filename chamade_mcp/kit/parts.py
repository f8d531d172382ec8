"""Which parts of a message are out: sent again, it goes on where it broke off."""

from collections.abc import Awaitable, Callable
from typing import Final

from chamade_mcp.kit.recent import Recent
from chamade_mcp.model.ids import MessageRef

_REMEMBERED: Final = 2000


class SentParts:
    """By `Outgoing.key`, of the messages of one link, for platforms that take none of ours.

    A link that was opened anew has forgotten them: what was under way then may come twice, as the platform
    gives no way to ask.
    """

    def __init__(self) -> None:
        self._refs: Recent[str, list[MessageRef]] = Recent(_REMEMBERED)

    def __len__(self) -> int:
        """How many messages are remembered."""
        return len(self._refs)

    async def once(self, key: str, number: int, send: Callable[[], Awaitable[MessageRef]]) -> MessageRef:
        """What `send` gave for part `number` of the message, now or before. Parts come in their order."""
        sent = self._refs.setdefault(key, [])
        if number < len(sent):
            return sent[number]
        assert number == len(sent), "parts come in their order"
        ref = await send()
        sent.append(ref)
        self._refs[key] = sent
        return ref
