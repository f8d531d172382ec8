"""What agents sent, and what became of it, in the database: functions of a connection."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, case, select

from chamade_mcp.core.dms import ASIDE, HEARD, INBOUND, OUTBOUND, mine
from chamade_mcp.model.access import Scope
from chamade_mcp.model.ids import ConversationId, MessageId, MessageRef
from chamade_mcp.model.messages import DeliveryState
from chamade_mcp.store.rows import Rows
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


def _setting(state: DeliveryState) -> Rows:
    """`state` is where an older one was; the platform's id of the message in any case."""
    older = ", ".join(f"'{before}'" for before in _REPLACES[state])
    statement = (
        "UPDATE messages SET "
        "status = iif(status IN (:older), ':state', status), "
        "detail = iif(status IN (:older), given.detail, messages.detail), "
        "sent_ref = coalesce(given.sent_ref, messages.sent_ref) "
        "FROM (SELECT column1 AS id, column2 AS detail, column3 AS sent_ref FROM ({rows})) AS given "
        "WHERE messages.id = given.id AND (given.sent_ref IS NOT NULL OR status IN (:older))"
    )
    return Rows(statement.replace(":older", older).replace(":state", state), 3)


# One for each: what a state replaces stands in the statement, where it is not worked out for each message.
_SET_STATE: Final = {state: _setting(state) for state in DeliveryState}


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


class Became(NamedTuple):
    """What became of a message."""

    message: MessageId
    state: DeliveryState
    detail: str | None = None
    """Why, in the platform's words where there are any."""
    ref: MessageRef | None = None
    """The platform's id of it."""


def set_states(conn: Connection, became: Sequence[Became]) -> None:
    """Of different messages. An earlier state that comes late changes nothing; its `ref` is kept."""
    rows: dict[DeliveryState, list[tuple[str, str | None, str | None]]] = {}
    for one in became:
        rows.setdefault(one.state, []).append((one.message, one.detail, one.ref))
    for state, some in rows.items():
        _SET_STATE[state].count(conn, some)


def set_state(conn: Connection, message: MessageId, state: DeliveryState, detail: str | None = None) -> bool:
    """Whether that was news."""
    return _SET_STATE[state].count(conn, [(message, detail, None)]) == 1


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
        conversations.c.status.label("place_status"),
        case((messages.c.direction == INBOUND, messages.c.ref), else_=messages.c.sent_ref).label(
            "platform_ref"
        ),
    )
    .join(conversations, conversations.c.id == messages.c.conversation_id)
    .where(messages.c.status != ASIDE)
)


def by_ref(conn: Connection, conversation: ConversationId, ref: str) -> Row[Any] | None:
    """The message that its platform calls `ref`, or that we do; None: the gateway does not know it."""
    # One after the other, each by its index; should two have one name, the person's is meant.
    for named in (
        HEARD & (messages.c.ref == ref),
        messages.c.sent_ref == ref,
        (messages.c.direction == OUTBOUND) & (messages.c.id == ref),
    ):
        found = select(messages).where(messages.c.conversation_id == conversation, named)
        row = conn.execute(found.limit(1)).first()
        if row is not None:
            return row
    return None
