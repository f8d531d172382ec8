"""Connections in the database: plain functions of a connection to it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, update

from chamade_mcp.core import dms
from chamade_mcp.core.roster import Listed
from chamade_mcp.model.access import Scope
from chamade_mcp.model.connections import Access, ConnectionKind, ConnectionState, Identity
from chamade_mcp.model.errors import Action, Conflict, LimitReached
from chamade_mcp.model.ids import AccountId, AgentId, ConnectionId, Platform
from chamade_mcp.store.schema import connections, conversations, files, operators, pairing_tokens
from chamade_mcp.store.secrets import SealBroken, SecretBox

PURPOSE = "connections.settings"
MOST_OF_AN_ACCOUNT = 50


def every(conn: Connection) -> Sequence[Row[Any]]:
    return conn.execute(select(connections).order_by(connections.c.created_at, connections.c.id)).all()


def find(conn: Connection, connection: ConnectionId) -> Listed | None:
    row = conn.execute(select(connections).where(connections.c.id == connection)).one_or_none()
    return None if row is None else from_row(row)


def shared(conn: Connection, scope: Scope, platform: Platform) -> Listed | None:
    """The agent's tie to the platform's shared bot."""
    row = conn.execute(
        select(connections).where(
            connections.c.account_id == scope.account,
            connections.c.agent_id == scope.agent,
            connections.c.platform == platform,
            connections.c.kind == str(ConnectionKind.SHARED),
        )
    ).first()
    return None if row is None else from_row(row)


def insert(conn: Connection, box: SecretBox, listed: Listed, settings: Mapping[str, str]) -> None:
    """Raises `Conflict` for a bot that is connected already, and `LimitReached`."""
    require_free(conn, listed.platform, listed.identity, but=listed.id)
    count = conn.execute(
        select(func.count()).where(connections.c.account_id == listed.scope.account)
    ).scalar_one()
    if count >= MOST_OF_AN_ACCOUNT:
        raise LimitReached(
            f"An account has {MOST_OF_AN_ACCOUNT} connections at most",
            code="CONNECTION_LIMIT_REACHED",
            action=Action.ASK_HUMAN,
        )
    conn.execute(
        connections.insert().values(
            id=listed.id,
            account_id=listed.scope.account,
            agent_id=listed.scope.agent,
            platform=listed.platform,
            kind=str(listed.kind),
            access=str(listed.access),
            state=str(listed.state),
            detail=listed.detail,
            **_identity(listed.identity),
            settings_sealed=_seal(box, settings),
            created_at=listed.created_at,
        )
    )


def require_free(conn: Connection, platform: Platform, identity: Identity, *, but: ConnectionId) -> None:
    """Two links for one bot would take each other's messages. Raises `Conflict`."""
    taken = conn.execute(
        select(connections.c.id).where(
            connections.c.platform == platform,
            connections.c.kind == str(ConnectionKind.OWN),
            connections.c.identity_ref == identity.ref,
            connections.c.id != but,
        )
    ).first()
    if taken is not None and identity.ref:
        raise Conflict(
            "This bot is connected already",
            code="BOT_ALREADY_CONNECTED",
            action=Action.ASK_HUMAN,
            platform=platform,
        )


def set_settings(
    conn: Connection, box: SecretBox, listed: Listed, identity: Identity, settings: Mapping[str, str]
) -> None:
    require_free(conn, listed.platform, identity, but=listed.id)
    values = {**_identity(identity), "settings_sealed": _seal(box, settings)}
    conn.execute(update(connections).where(connections.c.id == listed.id).values(**values))


def set_access(conn: Connection, connection: ConnectionId, access: Access) -> None:
    conn.execute(update(connections).where(connections.c.id == connection).values(access=str(access)))


def set_state(conn: Connection, connection: ConnectionId, state: ConnectionState, detail: str) -> bool:
    """False when it is gone."""
    query = update(connections).where(connections.c.id == connection)
    return conn.execute(query.values(state=str(state), detail=detail)).rowcount > 0


def remove(conn: Connection, listed: Listed) -> None:
    """Its conversations stay to be read, and nobody can be written to in them any more; a link that was to
    pair somebody by it is void."""
    conn.execute(delete(connections).where(connections.c.id == listed.id))
    conn.execute(delete(pairing_tokens).where(_tokens(listed)))
    conn.execute(update(conversations).where(_conversations(listed, listed.scope)).values(status=dms.CLOSED))


def hand_over(conn: Connection, listed: Listed, to: Scope) -> None:
    """Conversations and files go with it; a link that was to pair somebody by it is void.

    Raises `Conflict` where both agents know somebody on a shared bot: whose conversation it is then, nobody
    could tell.
    """
    theirs = _conversations(listed, to)
    if listed.kind is ConnectionKind.SHARED and (
        shared(conn, to, listed.platform) is not None
        or conn.execute(select(conversations.c.id).where(theirs).limit(1)).first() is not None
    ):
        raise Conflict(
            "That agent is, or was, on the shared bot itself, and knows its people",
            code="AGENT_IS_CONNECTED",
            action=Action.ASK_HUMAN,
            platform=listed.platform,
        )
    conn.execute(update(connections).where(connections.c.id == listed.id).values(agent_id=to.agent))
    conn.execute(delete(pairing_tokens).where(_tokens(listed)))
    mine = _conversations(listed, listed.scope)
    known = select(conversations.c.id).where(mine)
    # An agent's operator is one of its own conversations.
    conn.execute(delete(operators).where(operators.c.conversation_id.in_(known)))
    conn.execute(update(conversations).where(mine).values(agent_id=to.agent))
    came = (files.c.account_id == to.account) & (files.c.agent_id == listed.scope.agent)
    came &= (files.c.platform == listed.platform) & (files.c.connection_id == listed.link)
    conn.execute(update(files).where(came).values(agent_id=to.agent))


def _conversations(listed: Listed, scope: Scope) -> ColumnElement[bool]:
    return (
        (conversations.c.account_id == scope.account)
        & (conversations.c.agent_id == scope.agent)
        & (conversations.c.platform == listed.platform)
        & (conversations.c.connection_id == listed.link)
    )


def _tokens(listed: Listed) -> ColumnElement[bool]:
    return (
        (pairing_tokens.c.agent_id == listed.scope.agent)
        & (pairing_tokens.c.platform == listed.platform)
        & (pairing_tokens.c.connection_id == listed.link)
    )


def settings_of(conn: Connection, box: SecretBox, connection: ConnectionId) -> dict[str, str]:
    """Raises `SealBroken` when the gateway's key was changed since, or the connection is gone."""
    sealed = conn.execute(
        select(connections.c.settings_sealed).where(connections.c.id == connection)
    ).scalar_one_or_none()
    if sealed is None:
        raise SealBroken(PURPOSE)
    settings: dict[str, str] = json.loads(box.open(PURPOSE, sealed))
    return settings


def from_row(row: Row[Any]) -> Listed:
    return Listed(
        ConnectionId(row.id),
        Scope(AccountId(row.account_id), AgentId(row.agent_id)),
        Platform(row.platform),
        ConnectionKind(row.kind),
        Access(row.access),
        ConnectionState(row.state),
        row.detail,
        Identity(row.identity_ref, row.identity_name, row.hook_ref),
        row.created_at,
    )


def _seal(box: SecretBox, settings: Mapping[str, str]) -> bytes:
    return box.seal(PURPOSE, json.dumps(dict(settings)))


def _identity(identity: Identity) -> dict[str, str]:
    return {
        "identity_ref": identity.ref,
        "identity_name": identity.name,
        "hook_ref": identity.hook_ref,
    }
