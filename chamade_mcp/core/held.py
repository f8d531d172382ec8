"""Messages that wait for a person to write again, in the database: functions of a connection.

Held is what is pending and is not tried meanwhile. What went out once the person wrote stays marked until
the agent is told of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, select, update

from chamade_mcp.core import dms, sent
from chamade_mcp.kit.clock import iso
from chamade_mcp.kit.manifest import Window
from chamade_mcp.model.ids import ConversationId, FileId, Platform
from chamade_mcp.model.messages import DeliveryState
from chamade_mcp.store.prepared import Prepared
from chamade_mcp.store.schema import conversations, messages

ARRIVED: Final = frozenset({DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.READ})
_PAGE: Final = 500
"""What is given up in one transaction: other writers wait for it."""
_ANY: Final = Prepared(select(messages.c.id).where(messages.c.held).limit(1))
_ANY_HERE: Final = Prepared(
    select(messages.c.id)
    .where(messages.c.conversation_id == bindparam("conversation"), messages.c.held)
    .limit(1)
)
_FORGET: Final = Prepared(
    update(conversations).where(conversations.c.id == bindparam("conversation")).values(nudged_for=None)
)


@dataclass(frozen=True, slots=True)
class Released:
    """What a person's message has set free."""

    out: list[str] = field(default_factory=list[str])
    """Ids of what is out already, in order: the agent is still to be told."""
    pending: list[str] = field(default_factory=list[str])
    """Of what is to go out now."""


def hold_if_closed(
    conn: Connection,
    window: Window,
    conversation: ConversationId,
    new: Sequence[str],
    now: datetime,
    since: datetime,
) -> bool:
    """Holds messages that are to go out, if at `now` the window is closed or others wait before them; `since`
    is for how long."""
    row = conn.execute(select(conversations).where(conversations.c.id == conversation)).one()
    if _within(row, window, now) and not _count(conn, conversation):
        return False
    conn.execute(update(messages).where(messages.c.id.in_(new)).values(held=True, held_since=since))
    return True


def hold(conn: Connection, message: str, states: Sequence[DeliveryState], since: datetime) -> bool:
    """The platform says that the window is closed. Whether the message, in one of `states`, is held now."""
    held = update(messages).where(messages.c.id == message, messages.c.status.in_(states))
    values = {"status": DeliveryState.PENDING, "held": True, "held_since": since, "detail": None}
    return conn.execute(held.values(values)).rowcount == 1


def files_of(conn: Connection, held: Sequence[str]) -> list[FileId]:
    """What goes with them."""
    rows = conn.execute(select(messages.c.attachments).where(messages.c.id.in_(held)))
    return [FileId(one["file_id"]) for row in rows for one in row.attachments]


def is_held(conn: Connection, message: str) -> bool:
    return conn.execute(select(messages.c.held).where(messages.c.id == message)).scalar_one_or_none() is True


def is_any(conn: Connection, conversation: ConversationId | None = None) -> bool:
    """Whether anything is, out already or not; of all conversations without one."""
    if conversation is None:
        return _ANY.value(conn, {}) is not None
    return _ANY_HERE.value(conn, {"conversation": conversation}) is not None


def forget_nudge(conn: Connection, conversation: ConversationId) -> None:
    """Who was asked to write again has done so."""
    _FORGET.run(conn, {"conversation": conversation})


def waiting(conn: Connection, conversation: ConversationId) -> Sequence[Row[Any]]:
    """In order, as `sent.outbound` gives them."""
    return conn.execute(sent.TO_SEND.where(_held_in(conversation)).order_by(messages.c.seq)).all()


def position(conn: Connection, conversation: ConversationId, message: str) -> int:
    """Its place in the queue, from 1."""
    seq = select(messages.c.seq).where(messages.c.id == message).scalar_subquery()
    return _count(conn, conversation, messages.c.seq <= seq)


def release(conn: Connection, conversation: ConversationId, *, still_closed: bool) -> Released:
    """The person wrote. `still_closed`: the platform says that nothing may go out all the same."""
    if not is_any(conn, conversation):
        return Released()
    free = update(messages).where(messages.c.conversation_id == conversation, messages.c.held)
    if still_closed:
        free = free.where(messages.c.status != DeliveryState.PENDING)
    rows = conn.execute(free.values(held=False).returning(messages.c.id, messages.c.seq, messages.c.status))
    freed = sorted(rows, key=lambda row: row.seq)
    return Released(
        [row.id for row in freed if row.status in ARRIVED],
        [row.id for row in freed if row.status == DeliveryState.PENDING],
    )


def drop_older(conn: Connection, platform: Platform, than: datetime, detail: str) -> Sequence[Row[Any]]:
    """Gives up some of what has waited too long: as it was, as `sent.outbound` gives it."""
    here = _HELD & (conversations.c.platform == platform) & (messages.c.held_since <= than)
    rows = conn.execute(sent.TO_SEND.where(here).order_by(messages.c.seq).limit(_PAGE)).all()
    if not rows:
        return rows
    gone = update(messages).where(messages.c.id.in_([row.id for row in rows]))
    conn.execute(gone.values(status=DeliveryState.FAILED, held=False, detail=detail))
    emptied = {row.conversation_id for row in rows}
    of = conversations.c.id.in_(emptied)
    conn.execute(update(conversations).where(of, ~_anything_held()).values(nudged_for=None))
    return rows


def unasked(conn: Connection, platform: Platform) -> Sequence[Row[Any]]:
    """Of each conversation whose person was not asked to write again the first message that waits."""
    open_ = conversations.c.status == dms.ACTIVE  # elsewhere nobody may write
    here = _HELD & open_ & (conversations.c.platform == platform) & conversations.c.nudged_for.is_(None)
    rows = conn.execute(sent.TO_SEND.where(here).order_by(messages.c.seq.desc())).all()
    return list({row.conversation_id: row for row in rows}.values())


def nudged_for(conn: Connection, conversation: ConversationId) -> str | None:
    """The message for which the person was asked to write again."""
    found = select(conversations.c.nudged_for).where(conversations.c.id == conversation)
    return conn.execute(found).scalar_one_or_none()


def set_nudged(conn: Connection, conversation: ConversationId, message: str) -> None:
    """Unless they have written meanwhile."""
    asked = update(conversations).where(conversations.c.id == conversation, _anything_held())
    conn.execute(asked.values(nudged_for=message))


def to_wire(conn: Connection, row: Row[Any], window: Window, now: datetime) -> dict[str, Any]:
    """`whatsapp_window` of CONTRACT section 4.3."""
    count = _count(conn, row.id)
    return {
        "open": _within(row, window, now) and count == 0,
        "last_inbound_at": iso(row.last_inbound_at) if row.last_inbound_at else None,
        "pending_count": count,
    }


def _within(row: Row[Any], window: Window, now: datetime) -> bool:
    last: datetime | None = row.last_inbound_at
    return last is not None and now - last < timedelta(seconds=window.open_s)


# That it is pending is said first, as the index on what is pending wants it.
_HELD: Final[ColumnElement[bool]] = (messages.c.status == DeliveryState.PENDING) & messages.c.held


def _held_in(conversation: ConversationId) -> ColumnElement[bool]:
    return _HELD & (messages.c.conversation_id == conversation)


def _anything_held() -> ColumnElement[bool]:
    return select(messages.c.id).where(_HELD, messages.c.conversation_id == conversations.c.id).exists()


def _count(conn: Connection, conversation: ConversationId, *more: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(messages).where(_held_in(conversation), *more)
    return conn.execute(query).scalar_one()
