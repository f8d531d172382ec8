"""Identifiers."""

import inspect
import re

from chamade_mcp.model import ids
from chamade_mcp.model.messages import Attachment, well_formed
from tests.support.requirement import requirement


@requirement("R-093")
def test_ids_have_a_prefix_and_enough_chance() -> None:
    assert re.fullmatch(r"msg_[a-hj-km-np-z2-9]{20}", ids.new_message_id())
    assert len({ids.new_call_id() for _ in range(1000)}) == 1000


def test_every_kind_has_a_prefix_of_its_own() -> None:
    makers = [f for name, f in inspect.getmembers(ids, inspect.isfunction) if name != "new_id"]
    assert len({str(make()).partition("_")[0] for make in makers}) == len(makers)


def test_half_a_surrogate_pair_gets_a_mark() -> None:
    assert well_formed("plain") == "plain"
    assert well_formed("é \U0001f600 \ud83d") == "é \U0001f600 ?"


@requirement("R-093")
def test_an_attachment_on_the_wire() -> None:
    attachment = Attachment("a.png", "image/png", 3, "http://x/y", ids.new_file_id())
    assert attachment.to_wire() == {"name": "a.png", "mime": "image/png", "size": 3, "url": "http://x/y"}
