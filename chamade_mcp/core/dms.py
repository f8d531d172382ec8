"""Conversations and messages in the database: functions of a connection, each bound to an agent's scope."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Integer, Row, bindparam, func, literal_column, select, update
from sqlalchemy.sql.elements import ColumnElement

from chamade_mcp.core.backwards import SAID, backwards
from chamade_mcp.kit.clock import iso
from chamade_mcp.model.access import Scope
from chamade_mcp.model.connections import Trust
from chamade_mcp.model.ids import (
    AccountId,
    ConnectionId,
    FileId,
    MessageId,
    Platform,
    ThreadRef,
)
from chamade_mcp.model.messages import Attachment
from chamade_mcp.store.schema import accounts, conversations, messages

INBOUND, OUTBOUND = "inbound", "outbound"
ACTIVE, CLOSED = "active", "closed"
"""Of a conversation: in one that is closed nobody may write, until the person is let in again."""
GATEWAY = "Gateway"
"""The sender of what the gateway itself says to a person; what an agent says has none."""
ASIDE = "aside"
"""The status of what a person said to the gateway and not to the agent, who does not read it."""
DELETED = "deleted"
"""The status of what was taken back: where it stood is still seen, what it said is not."""


HEARD: Final[ColumnElement[bool]] = literal_column("messages.direction = 'inbound'")
"""Of a message: a person said it. As SQL has it, for the index that has these alone: neither as a parameter
nor as a Boolean, after which "= 1" would be written."""


_SEEN: Final = select(SAID).where(SAID.c.status != ASIDE).limit(bindparam("limit", type_=Integer))
_LAST: Final = select(conversations.c.last_seq).where(conversations.c.id == bindparam("conversation"))
_AFTER: Final = backwards(
    (messages.c.account_id == bindparam("account")) & (messages.c.seq == _LAST.scalar_subquery()),
    lambda said: (said.seq > bindparam("seq")) & (said.direction != INBOUND),
)
_HEARD_AFTER: Final = select(_AFTER.c.id).where(
    _AFTER.c.seq > bindparam("seq"), _AFTER.c.direction == INBOUND
)


class NewMessage(NamedTuple):
    id: MessageId
    direction: str
    ref: str
    """The platform's id of it, or our own for what we send: unique within its conversation."""
    sender_name: str
    text: str
    attachments: tuple[Attachment, ...]
    status: str
    at: datetime
    reply_to: MessageId | None = None
    thread: ThreadRef | None = None
    group: str | None = None
    """The name of the group it was said in."""
    mentions_me: bool = False
    sent_at: datetime | None = None
    """By the platform's clock; `at` is by ours."""
    sender_ref: str = ""
    trust: Trust | None = None
    heard_at: datetime | None = None
    """`at`, by a clock that does not jump, where the platform has a window: that is counted by it."""

    @property
    def remote_name(self) -> str:
        """Whose conversation it is, going by this message."""
        return self.sender_name if self.group is None else self.group

    @property
    def is_by_hand(self) -> bool:
        return by_hand(self.direction, self.sender_name)

    @property
    def past_the_agent(self) -> bool:
        return past_the_agent(self.status, self.direction, self.sender_name)


def past_the_agent(status: str, direction: str, sender_name: str) -> bool:
    """Between the person and the gateway alone."""
    return status == ASIDE or (direction == OUTBOUND and sender_name == GATEWAY)


def by_hand(direction: str, sender_name: str) -> bool:
    """The owner wrote it: what the agent says bears no name, and what the gateway says its own."""
    return direction == OUTBOUND and sender_name not in ("", GATEWAY)


def mine(scope: Scope) -> ColumnElement[bool]:
    return (conversations.c.account_id == scope.account) & (conversations.c.agent_id == scope.agent)


def _numbered(scope: Scope) -> ColumnElement[bool]:
    # Said of the messages too, so that the index on their numbers is used: without it the whole of an
    # account's history is read and sorted.
    return messages.c.account_id == scope.account


def heard(conn: Connection, conversation: str, ref: str) -> bool:
    """Whether what a person said as `ref` is stored already."""
    said = (HEARD, messages.c.ref == ref, messages.c.conversation_id == conversation)
    return conn.execute(select(messages.c.id).where(*said)).first() is not None


def heard_since(conn: Connection, message: Row[Any]) -> bool:
    """Whether the person has written after `message` was."""
    where = {"account": message.account_id, "conversation": message.conversation_id, "seq": message.seq}
    return conn.execute(_HEARD_AFTER, where).first() is not None


def change(conn: Connection, message: str, **values: object) -> None:
    """Unless it was taken back."""
    here = update(messages).where(messages.c.id == message, messages.c.status != DELETED)
    conn.execute(here.values(**values))


def erase(conn: Connection, message: str) -> None:
    """What it said goes; that it was there stays."""
    change(conn, message, status=DELETED, text="", attachments=[], reactions=None, detail=None)


def put_reaction(conn: Connection, message: str, emoji: str, *, on: bool) -> None:
    """The agent's own, whose sender has no name."""
    query = select(messages.c.reactions).where(messages.c.id == message)
    reactions: list[dict[str, str]] = conn.execute(query).scalar_one_or_none() or []
    others = [r for r in reactions if (r["ref"], r["emoji"]) != ("", emoji)]
    mine = [{"emoji": emoji, "sender": "", "ref": ""}] if on else []
    change(conn, message, reactions=[*others, *mine])


def attachments_of(row: Row[Any]) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(a["name"], a["mime"], a["size"], a["url"], FileId(a["file_id"])) for a in row.attachments
    )


def find(conn: Connection, scope: Scope, conversation: str) -> Row[Any] | None:
    return conn.execute(
        select(conversations).where(mine(scope), conversations.c.id == conversation)
    ).one_or_none()


def find_all(conn: Connection, scope: Scope, found: Sequence[str]) -> Sequence[Row[Any]]:
    """These conversations, in the order in which they are named."""
    rows = conn.execute(select(conversations).where(mine(scope), conversations.c.id.in_(found))).all()
    return sorted(rows, key=lambda row: found.index(row.id))


def find_by_ref(
    conn: Connection, scope: Scope, link: tuple[Platform, ConnectionId], ref: str
) -> Row[Any] | None:
    platform, connection = link
    return conn.execute(
        select(conversations).where(
            mine(scope),
            conversations.c.platform == platform,
            conversations.c.connection_id == connection,
            conversations.c.ref == ref,
        )
    ).one_or_none()


def most_recent(conn: Connection, scope: Scope, platform: str) -> Row[Any] | None:
    """The active conversation of a platform: the one somebody wrote in last."""
    return conn.execute(
        select(conversations)
        .where(mine(scope), conversations.c.platform == platform, conversations.c.status == ACTIVE)
        .order_by(conversations.c.last_message_at.desc(), conversations.c.id)
        .limit(1)
    ).one_or_none()


def newest(conn: Connection, conversation: Row[Any], limit: int) -> list[Row[Any]]:
    """The newest `limit` messages that the agent may see, oldest first."""
    where = {"account": conversation.account_id, "last": conversation.last_seq, "limit": limit}
    return list(reversed(conn.execute(_SEEN, where).all()))


def head(conn: Connection, scope: Scope, until: int | None = None) -> Row[str, int, datetime] | None:
    """The agent's newest message of all, or of those up to the number `until`: where its cursor stands."""
    query = (
        select(messages.c.id, messages.c.seq, messages.c.created_at)
        .join(conversations, conversations.c.id == messages.c.conversation_id)
        .where(mine(scope), _numbered(scope))
        .order_by(messages.c.seq.desc())
        .limit(1)
    )
    if until is not None:
        query = query.where(messages.c.seq <= until)
    return conn.execute(query).one_or_none()


def seq_of(conn: Connection, account: AccountId, message: str) -> int | None:
    """Whichever of the account's agents has the conversation: it may have been moved since."""
    return conn.execute(
        select(messages.c.seq).where(messages.c.account_id == account, messages.c.id == message)
    ).scalar_one_or_none()


MILESTONE: Final[ColumnElement[bool]] = literal_column("messages.seq % 64 = 0")
"""As SQL has it, for the same reason."""


def seq_before(conn: Connection, scope: Scope, moment: datetime) -> int:
    """The number before the first message after `moment`: between two of those that are indexed.

    Where the wall clock was set back this repeats messages, and never misses one. 0 for an account that has
    gone meanwhile.
    """
    number, later = func.min(messages.c.seq), (_numbered(scope), messages.c.created_at > moment)
    milestone: int | None = conn.execute(select(number).where(*later, MILESTONE)).scalar_one()
    newest = select(accounts.c.message_seq).where(accounts.c.id == scope.account)
    end: int = milestone or (conn.execute(newest).scalar_one_or_none() or 0) + 1
    before = select(func.max(messages.c.seq)).where(_numbered(scope), messages.c.seq < end, MILESTONE)
    start: int = conn.execute(before).scalar_one() or 0
    between = (messages.c.seq > start, messages.c.seq < end)
    first: int = conn.execute(select(number).where(*later, *between)).scalar_one() or end
    return first - 1


def since(conn: Connection, scope: Scope, seq: int, platform: str | None, limit: int) -> Sequence[Row[Any]]:
    """Messages after `seq` with their conversations' ids, in order."""
    query = (
        select(messages)
        .join(conversations, conversations.c.id == messages.c.conversation_id)
        .where(mine(scope), _numbered(scope), messages.c.seq > seq, messages.c.status != ASIDE)
        .order_by(messages.c.seq)
        .limit(limit)
    )
    if platform is not None:
        query = query.where(conversations.c.platform == platform)
    return conn.execute(query).all()


def conversation_to_wire(row: Row[Any]) -> dict[str, Any]:
    return {
        "conversation_id": row.id,
        "platform": row.platform,
        "remote_name": row.remote_name,
        "status": row.status,
        "created_at": iso(row.created_at),
        "last_message_at": iso(row.last_message_at),
        "group": row.is_group,
    }


def message_to_wire(row: Row[Any]) -> dict[str, Any]:
    """What the platform has told of it stands there only where it has."""
    wire: dict[str, Any] = {
        "id": row.id,
        "direction": row.direction,
        "sender": row.sender_name,
        "text": row.text,
        "attachments": [
            {"name": a["name"], "mime": a["mime"], "size": a["size"], "url": a["url"]}
            for a in row.attachments
        ],
        "status": row.status,
        "timestamp": iso(row.created_at),
    }
    if by_hand(row.direction, row.sender_name):
        wire["from_owner"] = True
    if row.trust:  # of what people say, and since the gateway keeps it
        wire |= {
            "sender_id": row.sender_ref,
            "sender_status": row.trust,
            "from_agent": row.trust == Trust.AGENT,
        }
    told = {
        "detail": row.detail,
        "reply_to": row.reply_to,
        "thread": row.thread,
        "mentions_me": row.mentions_me,
        "sent_at": iso(row.sent_at) if row.sent_at else None,
        "edited_at": iso(row.edited_at) if row.edited_at else None,
        "reactions": [{"emoji": r["emoji"], "sender": r["sender"]} for r in row.reactions or ()],
    }
    return wire | {name: value for name, value in told.items() if value}
