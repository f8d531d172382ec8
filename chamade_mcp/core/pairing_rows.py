"""Who may write over a connection, in the database: plain functions of a connection to it."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, case, delete, func, select, update

from chamade_mcp.core import dms
from chamade_mcp.core.bounds import inside
from chamade_mcp.core.roster import Listed
from chamade_mcp.kit.clock import iso
from chamade_mcp.model.access import Bounds, Scope
from chamade_mcp.model.connections import ConnectionKind, Standing
from chamade_mcp.model.errors import Action, LimitReached
from chamade_mcp.model.ids import (
    AccountId,
    AgentId,
    ConnectionId,
    ConversationRef,
    Platform,
    new_pairing_id,
)
from chamade_mcp.model.messages import Sender, plain_line
from chamade_mcp.store.schema import connections, conversations, pairing_tokens, pairings
from chamade_mcp.store.secrets import token_hash

TOKEN_LIFE: Final = timedelta(minutes=15)
ASKING_LIFE: Final = timedelta(hours=1)
MOST_PENDING: Final = 20
"""People who wait for the owner at one connection; whoever comes on top of them is not answered."""
MOST_PEOPLE: Final = 10_000
MOST_DENIED: Final = 1_000
"""Of one connection; the oldest are forgotten first."""
_LETTERS: Final = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
_CODE_LENGTH: Final = 8
_MOST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody on a platform, as they were there when they wrote."""

    sender: Sender
    conversation: ConversationRef

    @classmethod
    def of(cls, sender: Sender, conversation: ConversationRef) -> "Person":
        return cls(Sender(sender.ref, plain_line(sender.name)[:_MOST_NAME]), conversation)


@dataclass(frozen=True, slots=True)
class Found:
    standing: Standing
    until: datetime | None
    """When a request expires; None for what stays."""
    conversation: str
    """Theirs with the agent; "" while it is not known."""


def new_code() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_CODE_LENGTH))


def standing(conn: Connection, connection: ConnectionId, sender: str) -> Found | None:
    """None for a stranger."""
    row = conn.execute(
        select(pairings.c.state, pairings.c.expires_at, pairings.c.conversation_ref).where(
            pairings.c.connection_id == connection, pairings.c.sender_ref == sender
        )
    ).one_or_none()
    return None if row is None else Found(Standing(row.state), row.expires_at, row.conversation_ref)


def as_of(found: Found | None, now: datetime) -> Standing | None:
    """None for one whose request has expired, too."""
    if found is None or (found.until is not None and found.until <= now):
        return None
    return found.standing


def ask(conn: Connection, listed: Listed, person: Person, now: datetime) -> Row[Any] | None:
    """Notes that a stranger asks to be paired; None for one who is known, and when too many ask."""
    mine = pairings.c.connection_id == listed.id
    conn.execute(delete(pairings).where(mine, pairings.c.expires_at <= now))
    pending = conn.execute(
        select(func.count()).where(mine, pairings.c.state == str(Standing.PENDING))
    ).scalar_one()
    known = as_of(standing(conn, listed.id, person.sender.ref), now)
    if pending >= MOST_PENDING or known is not None:
        return None
    return _insert(conn, listed, person, Standing.PENDING, now, code=new_code())


def pair(conn: Connection, listed: Listed, person: Person, now: datetime) -> Row[Any]:
    """By the owner's own act: whoever this was before is paired now. Raises `LimitReached`."""
    mine = pairings.c.connection_id == listed.id
    conn.execute(delete(pairings).where(mine, pairings.c.sender_ref == person.sender.ref))
    if conn.execute(select(func.count()).where(mine)).scalar_one() >= MOST_PEOPLE:
        raise LimitReached(
            f"A connection has {MOST_PEOPLE} people at most",
            code="PAIRING_LIMIT_REACHED",
            action=Action.ASK_HUMAN,
        )
    return _insert(conn, listed, person, Standing.PAIRED, now)


def place(conn: Connection, connection: ConnectionId, sender: str, conversation: ConversationRef) -> None:
    """Somebody who was let in before they wrote has written: this is their conversation."""
    who = (pairings.c.connection_id == connection, pairings.c.sender_ref == sender)
    unknown = pairings.c.conversation_ref == ""
    conn.execute(update(pairings).where(*who, unknown).values(conversation_ref=conversation))


def settle(conn: Connection, asking: Row[Any], state: Standing) -> Row[Any]:
    """Approved or denied."""
    row = conn.execute(
        update(pairings)
        .where(pairings.c.id == asking.id)
        .values(state=str(state), code=None, expires_at=None)
        .returning(pairings)
    ).one()
    if state is Standing.DENIED:
        close_conversation(conn, row)
        oldest = (
            select(pairings.c.id)
            .where(pairings.c.connection_id == row.connection_id, pairings.c.state == str(state))
            .order_by(pairings.c.created_at.desc(), pairings.c.id)
            .offset(MOST_DENIED)
        )
        conn.execute(delete(pairings).where(pairings.c.id.in_(oldest)))
    return row


def withdraw(conn: Connection, pairing: str) -> None:
    """A request that nobody was told of."""
    conn.execute(delete(pairings).where(pairings.c.id == pairing, pairings.c.state == str(Standing.PENDING)))


def remove(conn: Connection, row: Row[Any]) -> None:
    close_conversation(conn, row)
    conn.execute(delete(pairings).where(pairings.c.id == row.id))


def close_conversation(conn: Connection, row: Row[Any]) -> None:
    """Nobody writes to somebody who may not answer."""
    tie = conn.execute(select(connections).where(connections.c.id == row.connection_id)).one()
    link = tie.id if tie.kind == ConnectionKind.OWN else ""
    conn.execute(
        update(conversations)
        .where(
            conversations.c.account_id == tie.account_id,
            conversations.c.agent_id == tie.agent_id,
            conversations.c.platform == tie.platform,
            conversations.c.connection_id == link,
            conversations.c.ref == row.conversation_ref,
        )
        .values(status=dms.CLOSED)
    )


def find(conn: Connection, bounds: Bounds, pairing: str, now: datetime) -> Row[Any] | None:
    row = conn.execute(select(pairings).where(_inside(bounds), pairings.c.id == pairing)).one_or_none()
    return None if row is None or _expired(row, now) else row


def find_by_code(conn: Connection, bounds: Bounds, code: str, now: datetime) -> Row[Any] | None:
    row = conn.execute(
        select(pairings).where(
            _inside(bounds),
            pairings.c.state == str(Standing.PENDING),
            pairings.c.code == code,
        )
    ).first()
    return None if row is None or _expired(row, now) else row


def page(
    conn: Connection,
    bounds: Bounds,
    state: Standing | None,
    connection: str | None,
    now: datetime,
    limit: int,
) -> list[Row[Any]]:
    """The newest first."""
    query = select(pairings).where(
        _inside(bounds), pairings.c.expires_at.is_(None) | (pairings.c.expires_at > now)
    )
    if state is not None:
        query = query.where(pairings.c.state == str(state))
    if connection is not None:
        query = query.where(pairings.c.connection_id == connection)
    return list(conn.execute(query.order_by(pairings.c.created_at.desc(), pairings.c.id).limit(limit)))


def scope_of(conn: Connection, platform: Platform, sender: str) -> Scope | None:
    """On the shared bot: the agent whom this person wrote with last, or heard from."""
    # The person's conversation says when either side wrote; a fresh pairing has none yet.
    told = (conversations.c.account_id == connections.c.account_id) & (
        conversations.c.agent_id == connections.c.agent_id
    )
    told &= (conversations.c.platform == platform) & (conversations.c.connection_id == "")
    told &= conversations.c.ref == pairings.c.conversation_ref
    spoke = conversations.c.last_message_at
    last = case((spoke > pairings.c.last_seen_at, spoke), else_=pairings.c.last_seen_at)
    row = conn.execute(
        select(connections.c.account_id, connections.c.agent_id)
        .join(pairings, pairings.c.connection_id == connections.c.id)
        .outerjoin(conversations, told)
        .where(
            pairings.c.sender_ref == sender,
            pairings.c.state == str(Standing.PAIRED),
            connections.c.platform == platform,
            connections.c.kind == str(ConnectionKind.SHARED),
        )
        .order_by(last.desc(), pairings.c.id)
        .limit(1)
    ).one_or_none()
    return None if row is None else Scope(AccountId(row.account_id), AgentId(row.agent_id))


def issue_token(
    conn: Connection, scope: Scope, link: tuple[Platform, ConnectionId], token: str, now: datetime
) -> None:
    """The one before is void."""
    platform, connection = link
    conn.execute(
        delete(pairing_tokens).where(
            pairing_tokens.c.agent_id == scope.agent,
            pairing_tokens.c.platform == platform,
            pairing_tokens.c.connection_id == connection,
        )
    )
    conn.execute(
        pairing_tokens.insert().values(
            token_sha256=token_hash(token),
            account_id=scope.account,
            agent_id=scope.agent,
            platform=platform,
            connection_id=connection,
            expires_at=now + TOKEN_LIFE,
        )
    )


def spend_token(
    conn: Connection, link: tuple[Platform, ConnectionId], token: str, now: datetime
) -> Scope | None:
    """Whose it was; it is none from now on."""
    platform, connection = link
    row = conn.execute(
        delete(pairing_tokens)
        .where(
            pairing_tokens.c.token_sha256 == token_hash(token),
            pairing_tokens.c.platform == platform,
            pairing_tokens.c.connection_id == connection,
        )
        .returning(pairing_tokens)
    ).one_or_none()
    if row is None or row.expires_at <= now:
        return None
    return Scope(AccountId(row.account_id), AgentId(row.agent_id))


def to_wire(row: Row[Any]) -> dict[str, object]:
    return {
        "sender_id": plain_line(row.sender_ref),
        "name": row.sender_name,
        "status": row.state,
        "code": row.code,
        "created_at": iso(row.created_at),
        "expires_at": iso(row.expires_at) if row.expires_at else None,
    }


def _inside(bounds: Bounds) -> ColumnElement[bool]:
    return pairings.c.connection_id.in_(select(connections.c.id).where(inside(connections, bounds)))


def _expired(row: Row[Any], now: datetime) -> bool:
    return row.expires_at is not None and row.expires_at <= now


def _insert(
    conn: Connection,
    listed: Listed,
    person: Person,
    state: Standing,
    now: datetime,
    code: str | None = None,
) -> Row[Any]:
    return conn.execute(
        pairings.insert()
        .values(
            id=new_pairing_id(),
            account_id=listed.scope.account,
            connection_id=listed.id,
            sender_ref=person.sender.ref,
            sender_name=person.sender.name,
            conversation_ref=person.conversation,
            state=str(state),
            code=code,
            created_at=now,
            expires_at=now + ASKING_LIFE if code else None,
            last_seen_at=now,
        )
        .returning(pairings)
    ).one()
