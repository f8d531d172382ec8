"""What was said in a conversation, from the newest on: each message names the one before it."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import CTE, ColumnElement, bindparam, select
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from chamade_mcp.store.schema import messages

Columns = ReadOnlyColumnCollection[str, Any]


def backwards(
    first: ColumnElement[bool], goes_on: Callable[[Columns], ColumnElement[bool]] | None = None
) -> CTE:
    """The messages for which `first` holds, as a rule a conversation's newest, and all before them; with
    `goes_on` before one for which that holds. In this order, as long as nothing else is asked for: whoever
    wants the first few of one conversation reads no more than these.
    """
    said = select(messages).where(first).cte("said", recursive=True)
    before = messages.alias("before")
    # An older one has a smaller number: whatever a store was made to say, this comes to an end.
    older = (before.c.seq == said.c.before_seq) & (before.c.seq < said.c.seq)
    step = select(before).join(said, (before.c.account_id == said.c.account_id) & older)
    return said.union_all(step if goes_on is None else step.where(goes_on(said.c)))


SAID: Final = backwards(
    (messages.c.account_id == bindparam("account")) & (messages.c.seq == bindparam("last"))
)
"""All of one conversation, whose account and `last_seq` are the parameters `account` and `last`."""
