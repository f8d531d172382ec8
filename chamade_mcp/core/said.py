"""Storing what was said, as many messages at once as there are: functions of a connection."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, Integer, bindparam, update

from chamade_mcp.core.dms import ACTIVE, INBOUND, NewMessage
from chamade_mcp.kit.clock import iso
from chamade_mcp.model.access import Scope
from chamade_mcp.model.folding import fold
from chamade_mcp.model.ids import (
    AccountId,
    ConnectionId,
    ConversationId,
    ConversationRef,
    Platform,
    new_conversation_id,
)
from chamade_mcp.store.prepared import Prepared
from chamade_mcp.store.rows import Rows, insertion
from chamade_mcp.store.schema import accounts, conversations

_CONVERSATIONS: Final = Rows(
    "WITH given (n, account_id, agent_id, platform, connection_id, ref) AS ({rows}) "
    "SELECT json_group_array(json_array(n, found.id, last_seq, status)) "
    "FROM given JOIN conversations AS found "
    "USING (account_id, agent_id, platform, connection_id, ref)",
    6,
)
_LAST: Final = Rows(
    "WITH given (id) AS ({rows}) SELECT json_group_array(json_array(id, last_seq)) "
    "FROM given JOIN conversations USING (id)",
    1,
)
# A repeated one is found out by the statement that adds it.
_ADD: Final = insertion(
    "messages",
    (
        *("id", "account_id", "conversation_id", "seq", "direction", "ref", "sender_name", "text"),
        *("attachments", "status", "created_at", "reply_to", "thread", "mentions_me", "sent_at"),
        *("sender_ref", "trust", "before_seq"),
    ),
    "ON CONFLICT (ref, conversation_id) WHERE direction = 'inbound' DO NOTHING ON CONFLICT (id) DO NOTHING",
)
_STORED: Final = Rows(
    "WITH given (account_id, seq) AS ({rows}) SELECT json_group_array(json_array(account_id, seq)) "
    "FROM given JOIN messages USING (account_id, seq)",
    2,
)
_LINK: Final = Rows(
    "WITH given (id, before_seq) AS ({rows}) "
    "UPDATE messages SET before_seq = given.before_seq FROM given WHERE messages.id = given.id",
    2,
)
_TAKE: Final = Prepared(
    update(accounts)
    .where(accounts.c.id == bindparam("account"))
    .values(message_seq=accounts.c.message_seq + bindparam("count", type_=Integer))
    .returning(accounts.c.message_seq)
)
_SPOKE: Final = Rows(
    "WITH given (id, last_seq, last_message_at) AS ({rows}) "
    "UPDATE conversations SET last_seq = given.last_seq, last_message_at = given.last_message_at, "
    "status = 'active' FROM given WHERE conversations.id = given.id",
    3,
)
# What has no value stays as it was.
_HEARD: Final = Rows(
    "WITH given (id, last_seq, last_message_at, last_inbound_at, remote_name, folded_name) AS ({rows}) "
    "UPDATE conversations SET last_seq = given.last_seq, "
    "last_message_at = coalesce(given.last_message_at, conversations.last_message_at), "
    "status = iif(given.last_message_at IS NULL, conversations.status, 'active'), "
    "last_inbound_at = coalesce(given.last_inbound_at, conversations.last_inbound_at), "
    "remote_name = coalesce(given.remote_name, conversations.remote_name), "
    "folded_name = coalesce(given.folded_name, conversations.folded_name) "
    "FROM given WHERE conversations.id = given.id",
    6,
)

Newest = Mapping[ConversationId, int | None]
"""The number of the newest message of each conversation; None where nothing was said yet."""


class Party(NamedTuple):
    """A person, or a group, on a platform: with whom a conversation is."""

    scope: Scope
    platform: Platform
    connection: ConnectionId
    ref: ConversationRef


class Said(NamedTuple):
    """A message in its conversation."""

    scope: Scope
    conversation: ConversationId
    new: NewMessage


class Known(NamedTuple):
    """A conversation that there is."""

    id: ConversationId
    last_seq: int | None
    """The number of its newest message."""
    status: str = ACTIVE


def conversations_of(conn: Connection, parties: Sequence[Party]) -> list[Known | None]:
    """The conversation with each; None where there is none yet."""
    wanted = [
        (number, one.scope.account, one.scope.agent, one.platform, one.connection, one.ref)
        for number, one in enumerate(parties)
    ]
    rows = _CONVERSATIONS.found(conn, wanted)
    found = {number: Known(ConversationId(key), last, status) for number, key, last, status in rows}
    return [found.get(number) for number in range(len(parties))]


def add_conversation(
    conn: Connection, party: Party, remote_name: str, at: datetime, *, is_group: bool = False
) -> ConversationId:
    conversation = new_conversation_id()
    conn.execute(
        conversations.insert().values(
            id=conversation,
            account_id=party.scope.account,
            agent_id=party.scope.agent,
            platform=party.platform,
            connection_id=party.connection,
            ref=party.ref,
            remote_name=remote_name,
            folded_name=fold(remote_name),
            is_group=is_group,
            status=ACTIVE,
            created_at=at,
            last_message_at=at,
        )
    )
    return conversation


def add_messages(conn: Connection, said: Sequence[Said], newest: Newest) -> list[int | None]:
    """Their numbers; None for one whose ref was stored before, a platform's repeated delivery, and for one of
    an account or a conversation that is gone. What was not stored may have used up a number.

    `newest`, as it was read in this transaction, has those of their conversations that are there.
    """
    counts = Counter(one.scope.account for one in said)
    left = {account: _take(conn, account, count) for account, count in counts.items()}
    numbers = [next(left[one.scope.account], None) if one.conversation in newest else None for one in said]
    links = _links(said, numbers, newest)
    rows = [
        _row(one, seq, before)
        for one, seq, before in zip(said, numbers, links, strict=True)
        if seq is not None
    ]
    if _ADD.count(conn, rows) < len(rows):
        given = [(one.scope.account, seq) for one, seq in zip(said, numbers, strict=True)]
        stored = {(account, seq) for account, seq in _STORED.found(conn, given)}
        numbers = [seq if (account, seq) in stored else None for account, seq in given]
        _mend(conn, said, numbers, links, _links(said, numbers, newest))
    _touch(conn, [(one, seq) for one, seq in zip(said, numbers, strict=True) if seq is not None])
    return numbers


def add_message(conn: Connection, said: Said) -> int | None:
    return add_messages(conn, [said], newest_of(conn, [said.conversation]))[0]


def newest_of(conn: Connection, places: Sequence[ConversationId]) -> Newest:
    """Of those that are there."""
    return {ConversationId(key): last for key, last in _LAST.found(conn, [(place,) for place in places])}


def _links(said: Sequence[Said], numbers: Sequence[int | None], newest: Newest) -> list[int | None]:
    """Of each message the number of the one before it."""
    last, links = dict(newest), list[int | None]()
    for one, seq in zip(said, numbers, strict=True):
        links.append(last.get(one.conversation))
        if seq is not None:
            last[one.conversation] = seq
    return links


def _mend(
    conn: Connection,
    said: Sequence[Said],
    numbers: Sequence[int | None],
    links: Sequence[int | None],
    right: Sequence[int | None],
) -> None:
    """What followed one that was not stored follows the one before that. One that was not may bear the id of
    one that was stored long ago, and stays where it is."""
    each = zip(said, numbers, links, right, strict=True)
    wrong = [(one.new.id, before) for one, seq, link, before in each if seq is not None and link != before]
    _LINK.count(conn, wrong)


def _take(conn: Connection, account: AccountId, count: int) -> Iterator[int]:
    last: int | None = _TAKE.value(conn, {"account": account, "count": count})
    return iter(()) if last is None else iter(range(last - count + 1, last + 1))


def _row(said: Said, seq: int, before: int | None) -> tuple[object, ...]:
    new = said.new
    return (
        new.id,
        said.scope.account,
        said.conversation,
        seq,
        new.direction,
        new.ref,
        new.sender_name,
        new.text,
        json.dumps([{**a.to_wire(), "file_id": a.file_id} for a in new.attachments])
        if new.attachments
        else "[]",
        new.status,
        iso(new.at),
        new.reply_to,
        new.thread,
        new.mentions_me,
        None if new.sent_at is None else iso(new.sent_at),
        new.sender_ref,
        str(new.trust or ""),
        before,
    )


def _touch(conn: Connection, stored: Sequence[tuple[Said, int]]) -> None:
    """What messages change of their conversations; of several in one the last counts."""
    spoke: dict[ConversationId, tuple[object, ...]] = {}
    heard: dict[ConversationId, tuple[object, ...]] = {}
    for one, seq in stored:
        place, new = one.conversation, one.new
        before = heard.pop(place, None) or spoke.pop(place, (place, seq, None))
        # Or the conversation would become the most recent one, where an agent's answer to somebody else goes.
        at = before[2] if new.past_the_agent else iso(new.at)
        if new.direction == INBOUND:
            name = new.remote_name
            heard[place] = (place, seq, at, iso(new.heard_at or new.at), name, fold(name))
        elif len(before) > 3 or at is None:
            heard[place] = (place, seq, at, *(before[3:] or (None, None, None)))
        else:
            spoke[place] = (place, seq, at)
    _SPOKE.count(conn, list(spoke.values()))
    _HEARD.count(conn, list(heard.values()))
