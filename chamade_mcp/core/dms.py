"""Conversations and messages in the database: functions of a connection, each bound to an agent's scope."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.sql.elements import ColumnElement

from chamade_mcp.kit.clock import iso
from chamade_mcp.model.access import Scope
from chamade_mcp.model.ids import ConversationId, FileId, MessageId, Platform, new_conversation_id
from chamade_mcp.model.messages import Attachment
from chamade_mcp.store.schema import accounts, conversations, messages

INBOUND, OUTBOUND = "inbound", "outbound"
GATEWAY = "Gateway"
"""The sender of what the gateway itself says to a person; what an agent says has none."""
ASIDE = "aside"
"""The status of what a person said to the gateway and not to the agent, who does not read it."""


_OUTBOUND = (
    select(
        messages,
        conversations.c.agent_id,
        conversations.c.platform,
        conversations.c.ref.label("conversation_ref"),
    )
    .join(conversations)
    .where(messages.c.direction == OUTBOUND)
)


@dataclass(frozen=True, slots=True)
class NewMessage:
    id: MessageId
    direction: str
    ref: str
    """The platform's id of it, or our own for what we send: unique within its conversation."""
    sender_name: str
    text: str
    attachments: tuple[Attachment, ...]
    status: str
    at: datetime

    @property
    def past_the_agent(self) -> bool:
        """Between the person and the gateway alone."""
        return self.status == ASIDE or (self.direction == OUTBOUND and self.sender_name == GATEWAY)


def _mine(scope: Scope) -> ColumnElement[bool]:
    return (conversations.c.account_id == scope.account) & (conversations.c.agent_id == scope.agent)


def _numbered(scope: Scope) -> ColumnElement[bool]:
    # Said of the messages too, so that the index on their numbers is used: without it the whole of an
    # account's history is read and sorted.
    return messages.c.account_id == scope.account


def ensure_conversation(
    conn: Connection, scope: Scope, platform: Platform, ref: str, remote_name: str, at: datetime
) -> ConversationId:
    """The conversation with this person, made on their first message."""
    row = conn.execute(
        select(conversations.c.id).where(
            conversations.c.account_id == scope.account,
            conversations.c.platform == platform,
            conversations.c.ref == ref,
        )
    ).one_or_none()
    if row is not None:
        return ConversationId(row.id)
    conversation = new_conversation_id()
    conn.execute(
        conversations.insert().values(
            id=conversation,
            account_id=scope.account,
            agent_id=scope.agent,
            platform=platform,
            ref=ref,
            remote_name=remote_name,
            status="active",
            created_at=at,
            last_message_at=at,
        )
    )
    return conversation


def add_message(conn: Connection, scope: Scope, conversation: ConversationId, new: NewMessage) -> int | None:
    """Its number; None when this ref was stored before: a platform's repeated delivery."""
    seen = conn.execute(
        select(messages.c.id).where(
            messages.c.conversation_id == conversation,
            messages.c.direction == new.direction,
            messages.c.ref == new.ref,
        )
    ).first()
    if seen is not None:
        return None
    seq = conn.execute(
        update(accounts)
        .where(accounts.c.id == scope.account)
        .values(message_seq=accounts.c.message_seq + 1)
        .returning(accounts.c.message_seq)
    ).scalar_one()
    conn.execute(
        messages.insert().values(
            id=new.id,
            account_id=scope.account,
            conversation_id=conversation,
            seq=seq,
            direction=new.direction,
            ref=new.ref,
            sender_name=new.sender_name,
            text=new.text,
            attachments=[{**a.to_wire(), "file_id": a.file_id} for a in new.attachments],
            status=new.status,
            created_at=new.at,
        )
    )
    changes: dict[str, Any] = {}
    # Or the conversation would become the most recent one, where an agent's answer to somebody else goes.
    if not new.past_the_agent:
        changes |= {"last_message_at": new.at, "status": "active"}
    if new.direction == INBOUND:
        changes |= {"last_inbound_at": new.at, "remote_name": new.sender_name}
    if changes:
        conn.execute(update(conversations).where(conversations.c.id == conversation).values(**changes))
    return seq


def set_status(conn: Connection, message: MessageId, status: str, detail: str | None = None) -> None:
    """`detail` says why, in the platform's words where there are any."""
    conn.execute(update(messages).where(messages.c.id == message).values(status=status, detail=detail))


def outbound(conn: Connection, scope: Scope, message: str) -> Row[Any] | None:
    """A message of the agent's own with its conversation."""
    return conn.execute(_OUTBOUND.where(_mine(scope), messages.c.id == message)).one_or_none()


def pending(conn: Connection) -> Sequence[Row[Any]]:
    """What every account has yet to send, in order, with the conversations."""
    return conn.execute(_OUTBOUND.where(messages.c.status == "pending").order_by(messages.c.seq)).all()


def attachments_of(row: Row[Any]) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(a["name"], a["mime"], a["size"], a["url"], FileId(a["file_id"])) for a in row.attachments
    )


def find(conn: Connection, scope: Scope, conversation: str) -> Row[Any] | None:
    return conn.execute(
        select(conversations).where(_mine(scope), conversations.c.id == conversation)
    ).one_or_none()


def find_all(conn: Connection, scope: Scope, found: Sequence[str]) -> Sequence[Row[Any]]:
    """These conversations, in the order in which they are named."""
    rows = conn.execute(select(conversations).where(_mine(scope), conversations.c.id.in_(found))).all()
    return sorted(rows, key=lambda row: found.index(row.id))


def find_by_ref(conn: Connection, scope: Scope, platform: Platform, ref: str) -> Row[Any] | None:
    return conn.execute(
        select(conversations).where(
            _mine(scope), conversations.c.platform == platform, conversations.c.ref == ref
        )
    ).one_or_none()


def most_recent(conn: Connection, scope: Scope, platform: str) -> Row[Any] | None:
    """The active conversation of a platform: the one somebody wrote in last."""
    return conn.execute(
        select(conversations)
        .where(_mine(scope), conversations.c.platform == platform, conversations.c.status == "active")
        .order_by(conversations.c.last_message_at.desc(), conversations.c.id)
        .limit(1)
    ).one_or_none()


def page(
    conn: Connection, scope: Scope, platform: str | None, status: str, limit: int, offset: int
) -> Sequence[Row[Any]]:
    """Conversations, the one with the newest message first."""
    query = (
        select(conversations)
        .where(_mine(scope), conversations.c.status == status)
        .order_by(conversations.c.last_message_at.desc(), conversations.c.id)
        .limit(limit)
        .offset(offset)
    )
    if platform is not None:
        query = query.where(conversations.c.platform == platform)
    return conn.execute(query).all()


def newest(conn: Connection, conversation: str, limit: int, *, asides: bool = False) -> list[Row[Any]]:
    """The newest `limit` messages, oldest first; `asides` are for the eyes of the person alone."""
    query = select(messages).where(messages.c.conversation_id == conversation)
    if not asides:
        query = query.where(messages.c.status != ASIDE)
    rows = conn.execute(query.order_by(messages.c.seq.desc()).limit(limit)).all()
    return list(reversed(rows))


def head(conn: Connection, scope: Scope) -> Row[str, int, datetime] | None:
    """The agent's newest message of all: where its cursor stands."""
    return conn.execute(
        select(messages.c.id, messages.c.seq, messages.c.created_at)
        .join(conversations)
        .where(_mine(scope), _numbered(scope))
        .order_by(messages.c.seq.desc())
        .limit(1)
    ).one_or_none()


def seq_of(conn: Connection, scope: Scope, message: str) -> int | None:
    return conn.execute(
        select(messages.c.seq).join(conversations).where(_mine(scope), messages.c.id == message)
    ).scalar_one_or_none()


def seq_before(conn: Connection, scope: Scope, moment: datetime) -> int:
    """The number before the first message after `moment`.

    Where the wall clock was set back this repeats messages, and never misses one.
    """
    first = conn.execute(
        select(func.min(messages.c.seq))
        .join(conversations)
        .where(_mine(scope), _numbered(scope), messages.c.created_at > moment)
    ).scalar_one()
    if first is not None:
        return first - 1
    return conn.execute(select(accounts.c.message_seq).where(accounts.c.id == scope.account)).scalar_one()


def since(conn: Connection, scope: Scope, seq: int, platform: str | None, limit: int) -> Sequence[Row[Any]]:
    """Messages after `seq` with their conversations' ids, in order."""
    query = (
        select(messages)
        .join(conversations)
        .where(_mine(scope), _numbered(scope), messages.c.seq > seq, messages.c.status != ASIDE)
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
    }


def message_to_wire(row: Row[Any]) -> dict[str, Any]:
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
    if row.detail:
        wire["detail"] = row.detail
    return wire
