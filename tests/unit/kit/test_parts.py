"""A message of several parts goes on where it broke off."""

import pytest

from chamade_mcp.kit.parts import SentParts
from chamade_mcp.model.ids import MessageRef


async def test_what_is_out_is_not_sent_again() -> None:
    parts, sent = SentParts(), list[int]()

    async def send(number: int, *, breaks: bool = False) -> MessageRef:
        if breaks:
            raise ConnectionError
        sent.append(number)
        return MessageRef(f"ref-{number}")

    assert await parts.once("key", 0, lambda: send(0)) == "ref-0"
    with pytest.raises(ConnectionError):
        await parts.once("key", 1, lambda: send(1, breaks=True))
    for number in (0, 1):
        assert await parts.once("key", number, lambda number=number: send(number)) == f"ref-{number}"
    assert sent == [0, 1]


async def test_the_oldest_are_forgotten() -> None:
    parts = SentParts()

    async def send() -> MessageRef:
        return MessageRef("ref")

    for number in range(2001):
        await parts.once(str(number), 0, send)
    assert len(parts) == 2000
