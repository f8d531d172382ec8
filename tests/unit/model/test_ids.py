"""Identifiers."""

import inspect
import re
from collections import Counter
from datetime import UTC, datetime, timedelta

from chamade_mcp.model import ids
from chamade_mcp.model.messages import Attachment, well_formed
from tests.support.requirement import requirement

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@requirement("R-093")
def test_ids_have_a_prefix_and_enough_chance() -> None:
    assert re.fullmatch(r"msg_[a-hj-km-np-z2-9]{20}", ids.new_message_id(NOW))
    assert len({ids.new_message_id(NOW) for _ in range(1000)}) == 1000
    assert len({ids.new_call_id() for _ in range(1000)}) == 1000


def test_every_letter_is_as_likely() -> None:
    letters = Counter("".join(ids.new_id("x")[2:] for _ in range(20_000)))
    assert len(letters) == 31
    # Chance alone comes to 1.05 now and then; bytes taken modulo the alphabet would be at 9/8.
    assert max(letters.values()) < 1.09 * min(letters.values())


def test_messages_are_in_the_order_of_their_moments() -> None:
    moments = [NOW + timedelta(days=days, milliseconds=10 * days) for days in range(0, 70_000, 7)]
    made = [ids.new_message_id(at) for at in moments]
    assert made == sorted(made)
    assert ids.new_message_id(NOW)[:12] == ids.new_message_id(NOW + timedelta(milliseconds=9))[:12]


def test_every_kind_has_a_prefix_of_its_own() -> None:
    others = ("new_id", "new_message_id")
    makers = [
        f for n, f in inspect.getmembers(ids, inspect.isfunction) if n[:4] == "new_" and n not in others
    ]
    made = [ids.new_message_id(NOW), *(str(make()) for make in makers)]
    assert len({one.partition("_")[0] for one in made}) == len(made)


def test_half_a_surrogate_pair_gets_a_mark() -> None:
    assert well_formed("plain") == "plain"
    assert well_formed("é \U0001f600 \ud83d") == "é \U0001f600 ?"


@requirement("R-093")
def test_an_attachment_on_the_wire() -> None:
    attachment = Attachment("a.png", "image/png", 3, "http://x/y", ids.new_file_id())
    assert attachment.to_wire() == {"name": "a.png", "mime": "image/png", "size": 3, "url": "http://x/y"}
