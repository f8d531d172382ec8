"""Usage in the database: what is counted by the day. Functions of a connection.

Messages are counted once, in the order of their numbers, and the counts stay when the messages go. What was
not delivered may still be: it is counted where it stands, and kept as a count once it goes. Calls are few,
and are read as they are.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

from sqlalchemy import CTE, Connection, Row, String, bindparam, func, select, type_coerce, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.sql.elements import ColumnElement

from chamade_mcp.core.call import CallState
from chamade_mcp.core.dms import ASIDE, GATEWAY, INBOUND, OUTBOUND
from chamade_mcp.core.spread import step_of
from chamade_mcp.model.access import Scope
from chamade_mcp.model.ids import AccountId
from chamade_mcp.model.messages import DeliveryState
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import accounts, calls, conversations, messages, usage_counts

IN, OUT, FAILED, ANSWER = "in", "out", "failed", "answer"
"""What is counted: messages that came, that went, that failed; an agent's answers by their step."""

_PAGE: Final = 1_000
"""Messages counted in one transaction: other writers wait for it."""
_TALKED: Final = (CallState.ACTIVE, CallState.ENDED, CallState.DISCONNECTED)
# In the statement itself: the index of what failed is used by those only that say so.
_FAILED: Final[ColumnElement[str]] = bindparam(
    "failed", str(DeliveryState.FAILED), String, literal_execute=True
)


class Key(NamedTuple):
    agent: str
    day: str
    platform: str
    measure: str
    step: int = 0


def _day(moment: ColumnElement[datetime]) -> ColumnElement[str]:
    return func.substr(type_coerce(moment, String), 1, 10)


async def count_up(database: Database, account: AccountId) -> None:
    """Whatever is not counted yet of its messages."""
    while await database.write(partial(count_messages, account=account)):
        pass


def uncounted(conn: Connection) -> Sequence[AccountId]:
    """Accounts with messages that are not counted yet."""
    found = select(accounts.c.id).where(accounts.c.usage_seq < accounts.c.message_seq)
    return [AccountId(account) for account in conn.execute(found).scalars()]


def count_messages(conn: Connection, account: AccountId) -> bool:
    """The next page of them; whether there are more."""
    mark = select(accounts.c.usage_seq, accounts.c.message_seq).where(accounts.c.id == account)
    row = conn.execute(mark).one_or_none()
    if row is None or row.usage_seq >= row.message_seq:
        return False
    until = min(row.usage_seq + _PAGE, row.message_seq)
    page = (messages.c.account_id == account) & (messages.c.seq > row.usage_seq) & (messages.c.seq <= until)
    add(conn, account, Counter(_said(conn, page)) + Counter(_answered(conn, page)))
    conn.execute(update(accounts).where(accounts.c.id == account).values(usage_seq=until))
    return until < row.message_seq


def _said(conn: Connection, page: ColumnElement[bool]) -> Mapping[Key, int]:
    """What the gateway itself says to people is nobody's use of it."""
    day, between = _day(messages.c.created_at), (messages.c.direction == OUTBOUND)
    by = (conversations.c.agent_id, day, conversations.c.platform, messages.c.direction)
    found = (
        select(*by, func.count())
        .join(conversations, conversations.c.id == messages.c.conversation_id)
        .where(page, messages.c.status != ASIDE, ~(between & (messages.c.sender_name == GATEWAY)))
        .group_by(*by)
    )
    return {
        Key(agent, of, platform, IN if direction == INBOUND else OUT): count
        for agent, of, platform, direction, count in conn.execute(found)
    }


def _answered(conn: Connection, page: ColumnElement[bool]) -> Iterable[Key]:
    """One for each time that an agent wrote next after a person."""
    before, asked = messages.alias("before"), _before_answers(page)
    found = (
        select(conversations.c.agent_id, conversations.c.platform, messages.c.created_at, before.c.created_at)
        .select_from(asked)
        .join(messages, (messages.c.account_id == asked.c.account_id) & (messages.c.seq == asked.c.answer))
        .join(before, (before.c.account_id == asked.c.account_id) & (before.c.seq == asked.c.seq))
        .join(conversations, conversations.c.id == messages.c.conversation_id)
        .where(before.c.direction == INBOUND, before.c.status != ASIDE)
    )
    for agent, platform, answered_at, asked_at in conn.execute(found):
        took_s = (answered_at - asked_at).total_seconds()
        yield Key(agent, answered_at.date().isoformat(), platform, ANSWER, step_of(took_s))


def _before_answers(page: ColumnElement[bool]) -> CTE:
    """Of each answer of an agent, `answer`, the messages before it in its conversation, `seq`, up to one that
    a person said to the agent, or that the agent said."""
    answers = (messages.c.direction == OUTBOUND) & (messages.c.sender_name == "")
    asked = (
        select(messages.c.account_id, messages.c.seq.label("answer"), messages.c.before_seq.label("seq"))
        .where(page, answers)
        .cte("asked", recursive=True)
    )
    passed = messages.alias("passed")
    aside = (passed.c.status == ASIDE) | ((passed.c.direction == OUTBOUND) & (passed.c.sender_name != ""))
    return asked.union_all(
        select(asked.c.account_id, asked.c.answer, passed.c.before_seq)
        .join(passed, (passed.c.account_id == asked.c.account_id) & (passed.c.seq == asked.c.seq))
        .where(aside, passed.c.before_seq < passed.c.seq)  # as `backwards` does it: this comes to an end
    )


def add(conn: Connection, account: AccountId, counts: Mapping[Key, int]) -> None:
    if not counts:
        return
    new = insert(usage_counts)
    more = new.on_conflict_do_update(
        index_elements=list(usage_counts.primary_key.columns),
        set_={"amount": usage_counts.c.amount + new.excluded.amount},
    )
    columns = ("agent_id", "day", "platform", "measure", "step")
    rows = [
        {"account_id": account, **dict(zip(columns, key, strict=True)), "amount": amount}
        for key, amount in counts.items()
    ]
    conn.execute(more, rows)


def keep_failed(conn: Connection, account: AccountId, gone: Sequence[Row[str, str, datetime]]) -> None:
    """`gone` are messages that were deleted: `conversation_id`, `status` and `created_at`."""
    failed = [row for row in gone if row.status == DeliveryState.FAILED]
    if not failed:
        return
    wanted = conversations.c.id.in_({row.conversation_id for row in failed})
    found = conn.execute(select(conversations).where(conversations.c.account_id == account, wanted))
    places = {row.id: (row.agent_id, row.platform) for row in found}
    counts = Counter[Key]()
    for row in failed:
        agent, platform = places[row.conversation_id]
        counts[Key(agent, row.created_at.date().isoformat(), platform, FAILED)] += 1
    add(conn, account, counts)


def counted(conn: Connection, scope: Scope, first: str) -> Counter[Key]:
    """From the day `first` on, with what failed and is still there."""
    c = usage_counts.c
    kept = select(c.day, c.platform, c.measure, c.step, c.amount).where(
        c.account_id == scope.account, c.agent_id == scope.agent, c.day >= first
    )
    day = _day(messages.c.created_at)
    still = (
        select(day, conversations.c.platform, func.count())
        .join(conversations, conversations.c.id == messages.c.conversation_id)
        .where(messages.c.account_id == scope.account, messages.c.status == _FAILED)
        .where(conversations.c.agent_id == scope.agent, type_coerce(messages.c.created_at, String) >= first)
        .group_by(day, conversations.c.platform)
    )
    counts = Counter[Key]()
    for of, platform, measure, step, amount in conn.execute(kept):
        counts[Key(scope.agent, of, platform, measure, step)] += amount
    for of, platform, amount in conn.execute(still):
        counts[Key(scope.agent, of, platform, FAILED)] += amount
    return counts


class CallsOfDay(NamedTuple):
    day: str
    platform: str
    calls: int
    seconds: int


def calls_by_day(conn: Connection, scope: Scope, first: str, now: datetime) -> list[CallsOfDay]:
    """By the day they began on. Those that nobody took are no time."""
    day, c = _day(calls.c.created_at), calls.c
    length = func.julianday(func.coalesce(c.ended_at, now)) - func.julianday(c.created_at)
    talked = func.sum(length * 86_400).filter(c.state.in_([str(state) for state in _TALKED]))
    found = (
        select(day, c.platform, func.count(), func.coalesce(talked, 0))
        .where(c.account_id == scope.account, c.agent_id == scope.agent)
        .where(type_coerce(c.created_at, String) >= first)
        .group_by(day, c.platform)
    )
    return [CallsOfDay(of, platform, n, round(max(0, took))) for of, platform, n, took in conn.execute(found)]


def activity(conn: Connection, scope: Scope) -> dict[str, dict[str, int]]:
    """How many calls and conversations there are, by platform."""
    found: dict[str, dict[str, int]] = {}
    for kind, table in (("calls", calls), ("conversations", conversations)):
        mine = (table.c.account_id == scope.account) & (table.c.agent_id == scope.agent)
        query = select(table.c.platform, func.count()).where(mine).group_by(table.c.platform)
        for platform, count in conn.execute(query).all():
            found.setdefault(platform, {"calls": 0, "conversations": 0})[kind] = count
    return found
