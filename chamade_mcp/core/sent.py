"""What agents sent, and what became of it, in the database: functions of a connection."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, String, bindparam, case, func, literal, or_, select, update

from chamade_mcp.core.dms import ASIDE, INBOUND, OUTBOUND, mine
from chamade_mcp.model.access import Scope
from chamade_mcp.model.ids import ConversationId, MessageId, MessageRef
from chamade_mcp.model.messages import DeliveryState
from chamade_mcp.store.prepared import Prepared
from chamade_mcp.store.schema import conversations, messages

_QUOTED = messages.alias("quoted")
TO_SEND = (
    select(
        messages,
        conversations.c.agent_id,
        conversations.c.platform,
        conversations.c.ref.label("conversation_ref"),
        conversations.c.connection_id,
        case((_QUOTED.c.direction == INBOUND, _QUOTED.c.ref), else_=_QUOTED.c.sent_ref).label("quoted_ref"),
    )
    .join(conversations, conversations.c.id == messages.c.conversation_id)
    .outerjoin(_QUOTED, _QUOTED.c.id == messages.c.reply_to)
    .where(messages.c.direction == OUTBOUND)
)

_PENDING, _SENT, _DELIVERED = DeliveryState.PENDING, DeliveryState.SENT, DeliveryState.DELIVERED
_FAILED, _UNKNOWN = DeliveryState.FAILED, DeliveryState.UNKNOWN
_REPLACES: Final = {
    _PENDING: (_FAILED, _UNKNOWN),
    _SENT: (_PENDING, _FAILED, _UNKNOWN),
    _DELIVERED: (_PENDING, _SENT, _FAILED, _UNKNOWN),
    DeliveryState.READ: (_PENDING, _SENT, _DELIVERED, _FAILED, _UNKNOWN),
    # What a person has got cannot fail any more; platforms tell of it in any order.
    _FAILED: (_PENDING, _SENT, _UNKNOWN),
    _UNKNOWN: (_PENDING,),
}


def _set_state(state: DeliveryState) -> Prepared:
    return Prepared(
        update(messages)
        .where(messages.c.id == bindparam("message"))
        # Not `in_`, which is a statement of its own for each number of values.
        .where(or_(*(messages.c.status == literal(str(before)) for before in _REPLACES[state])))
        .values(
            status=bindparam("new"),
            detail=bindparam("why"),
            sent_ref=func.coalesce(bindparam("sent", type_=String), messages.c.sent_ref),
        )
    )


_SET_STATE: Final = {state: _set_state(state) for state in DeliveryState}
_SET_REF: Final = Prepared(
    update(messages).where(messages.c.id == bindparam("message")).values(sent_ref=bindparam("sent"))
)


def outbound(conn: Connection, scope: Scope, message: str) -> Row[Any] | None:
    """A message of the agent's own with its conversation, and the platform's name of the one it quotes."""
    return conn.execute(TO_SEND.where(mine(scope), messages.c.id == message)).one_or_none()


def outbound_of(conn: Connection, ids: Sequence[str]) -> Sequence[Row[Any]]:
    """These of any account, in order, as `outbound` gives them."""
    return conn.execute(TO_SEND.where(messages.c.id.in_(ids)).order_by(messages.c.seq)).all()


def pending(conn: Connection) -> Sequence[Row[Any]]:
    """What every account has yet to send, in order, as `outbound` gives it."""
    due = (messages.c.status == _PENDING) & ~messages.c.held
    return conn.execute(TO_SEND.where(due).order_by(messages.c.seq)).all()


def set_state(
    conn: Connection,
    message: MessageId,
    state: DeliveryState,
    detail: str | None = None,
    ref: MessageRef | None = None,
) -> bool:
    """Whether that was news: an earlier state that comes late changes nothing.

    `detail` says why, in the platform's words where there are any; `ref` is the platform's id of it.
    """
    values: dict[str, object] = {"message": message, "new": str(state), "why": detail, "sent": ref}
    news = _SET_STATE[state].count(conn, values) == 1
    if not news and ref is not None:
        _SET_REF.run(conn, values)
    return news


def any_message(conn: Connection, scope: Scope, message: str) -> Row[Any] | None:
    """Anybody's message that the agent can see, with its conversation and, as `platform_ref`, the platform's
    name of it; None where that is not known."""
    return conn.execute(_ANY.where(mine(scope), messages.c.id == message)).one_or_none()


_ANY = (
    select(
        messages,
        conversations.c.platform,
        conversations.c.ref.label("conversation_ref"),
        conversations.c.connection_id,
        case((messages.c.direction == INBOUND, messages.c.ref), else_=messages.c.sent_ref).label(
            "platform_ref"
        ),
    )
    .join(conversations)
    .where(messages.c.status != ASIDE)
)


def by_ref(conn: Connection, conversation: ConversationId, ref: str) -> Row[Any] | None:
    """The message that its platform calls `ref`, or that we do; None: the gateway does not know it."""
    # One after the other, each by its index; should two have one name, the person's is meant.
    for named in (
        (messages.c.direction == INBOUND) & (messages.c.ref == ref),
        messages.c.sent_ref == ref,
        (messages.c.direction == OUTBOUND) & (messages.c.ref == ref),
    ):
        found = select(messages).where(messages.c.conversation_id == conversation, named)
        row = conn.execute(found.limit(1)).first()
        if row is not None:
            return row
    return None
