"""What is kept for a while only, and removed in the background.

An account may set how many days its messages, files, transcripts and recordings are kept; without a number
they stay. Recordings are removed where their bytes are known, by `Recordings.sweep`.
Texts stand in events, too, so the events of an account stay no longer than the shortest of these.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, String, bindparam, delete, select, update

from chamade_mcp.core import event_log, repeats, usage_rows
from chamade_mcp.core.webhooks import outcomes
from chamade_mcp.kit.chores import forever
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.access import Principal
from chamade_mcp.model.ids import AccountId
from chamade_mcp.model.messages import DeliveryState
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import (
    accounts,
    call_chat,
    conversations,
    files,
    messages,
    operators,
    transcript_lines,
)

EVENTS_KEPT: Final = timedelta(days=7)
_SWEEP_EVERY_S: Final = 3600.0
_PAGE: Final = 1_000
"""Rows of one account and kind removed in one transaction: other writers wait for it."""
# In the statement itself: the index of what waits is used by those only that say so.
_PENDING: Final[ColumnElement[str]] = bindparam(
    "pending", str(DeliveryState.PENDING), String, literal_execute=True
)


@dataclass(frozen=True, slots=True)
class Keeping:
    """Whole days; None keeps for ever, or a file as long as files are kept anyway."""

    messages_days: int | None
    files_days: int | None
    transcripts_days: int | None
    recordings_days: int | None

    def to_wire(self) -> dict[str, int | None]:
        return {
            "messages_days": self.messages_days,
            "files_days": self.files_days,
            "transcripts_days": self.transcripts_days,
            "recordings_days": self.recordings_days,
        }

    def events(self) -> timedelta:
        said = [days for days in (self.messages_days, self.transcripts_days) if days is not None]
        return min([EVENTS_KEPT, *(timedelta(days=days) for days in said)])


class Retention:
    def __init__(
        self, database: Database, clock: Clock, messages_removed: Callable[[AccountId], None]
    ) -> None:
        """`messages_removed(account)` is called after messages of it went by age."""
        self._database = database
        self._clock = clock
        self._messages_removed = messages_removed

    async def of(self, principal: Principal) -> Keeping:
        return await self._database.read(partial(keeping, account=principal.account))

    async def change(self, principal: Principal, days: Mapping[str, int | None]) -> Keeping:
        """Sets those members of `Keeping` that are named. What is too old goes with the next sweep."""

        def store(conn: Connection) -> None:
            if days:
                conn.execute(update(accounts).where(accounts.c.id == principal.account).values(**days))

        await self._database.write(store)
        return await self.of(principal)

    async def sweep_forever(self) -> None:
        await forever(
            self._clock, _SWEEP_EVERY_S, self.sweep, "what is out of date was not removed this time"
        )

    async def sweep(self) -> int:
        """How many rows went."""
        now = self._clock.now()
        await self._database.write(partial(repeats.drop_expired, now=now))
        dropped = 0
        for account, kept in await self._database.read(_every_keeping):
            dropped += await self._sweep_account(account, kept, now)
        if dropped:
            await self._database.scrub()
        return dropped

    async def _sweep_account(self, account: AccountId, kept: Keeping, now: datetime) -> int:
        dropped = await self._drop(event_log.drop_before, account, now - kept.events())
        dropped += await self._drop(outcomes.drop_before, account, now - kept.events())
        if kept.transcripts_days is not None:
            before = now - timedelta(days=kept.transcripts_days)
            dropped += await self._drop(_drop_transcripts, account, before)
            dropped += await self._drop(_drop_chat, account, before)
        if kept.messages_days is not None:
            await usage_rows.count_up(self._database, account)  # what goes must have been counted
            before = now - timedelta(days=kept.messages_days)
            if gone := await self._drop(_drop_messages, account, before):
                dropped += gone
                self._messages_removed(account)
            await self._database.write(partial(_drop_conversations, account=account, moment=before))
        if kept.files_days is not None:
            before = now - timedelta(days=kept.files_days)
            await self._database.write(partial(_expire_files, account=account, moment=before, now=now))
        return dropped

    async def _drop(self, drop: Callable[..., int], account: AccountId, moment: datetime) -> int:
        dropped = 0
        page = partial(drop, account=account, moment=moment, limit=_PAGE)
        while gone := await self._database.write(page):
            dropped += gone
        return dropped


_KEEPINGS: Final[Select[*tuple[Any, ...]]] = select(
    accounts.c.id,
    accounts.c.messages_days,
    accounts.c.files_days,
    accounts.c.transcripts_days,
    accounts.c.recordings_days,
)


def keeping(conn: Connection, account: AccountId) -> Keeping:
    return _keeping(conn.execute(_KEEPINGS.where(accounts.c.id == account)).one())


def _keeping(row: Row[*tuple[Any, ...]]) -> Keeping:
    return Keeping(row.messages_days, row.files_days, row.transcripts_days, row.recordings_days)


def _every_keeping(conn: Connection) -> list[tuple[AccountId, Keeping]]:
    return [(AccountId(row.id), _keeping(row)) for row in conn.execute(_KEEPINGS)]


def _drop_messages(conn: Connection, account: AccountId, moment: datetime, limit: int) -> int:
    """From the oldest on. What still waits to be sent stays until it is, with what was said after it: those
    of a conversation that are left follow each other.

    Where the wall clock was set back an older one may stand behind a newer one: it stays as long.
    """
    waits = messages.alias("waits")
    behind = select(waits.c.id).where(
        waits.c.status == _PENDING,
        waits.c.account_id == account,
        waits.c.seq <= messages.c.seq,
        waits.c.conversation_id == messages.c.conversation_id,
    )
    page = (
        select(messages.c.id, messages.c.created_at)
        .where(messages.c.account_id == account, ~behind.exists())
        .order_by(messages.c.seq)
        .limit(limit)
    )
    old = [row.id for row in takewhile(lambda row: row.created_at < moment, conn.execute(page))]
    if not old:
        return 0
    gone = conn.execute(
        delete(messages)
        .where(messages.c.id.in_(old))
        .returning(messages.c.conversation_id, messages.c.status, messages.c.created_at)
    ).all()
    usage_rows.keep_failed(conn, account, gone)
    return len(gone)


def _drop_conversations(conn: Connection, account: AccountId, moment: datetime) -> None:
    """Those in which nothing is left, but for the operator's: a name is somebody's data, too."""
    newest = (messages.c.account_id == account) & (messages.c.seq == conversations.c.last_seq)
    left = select(messages.c.id).where(newest).exists()
    operating = select(operators.c.agent_id).where(operators.c.conversation_id == conversations.c.id).exists()
    conn.execute(
        delete(conversations).where(
            conversations.c.account_id == account, conversations.c.last_message_at < moment, ~left, ~operating
        )
    )


def _drop_transcripts(conn: Connection, account: AccountId, moment: datetime, limit: int) -> int:
    dropped = 0
    line = transcript_lines.c
    old = select(line.call_id, line.position).where(line.account_id == account, line.created_at < moment)
    for row in conn.execute(old.limit(limit)).all():
        one = delete(transcript_lines).where(line.call_id == row.call_id, line.position == row.position)
        dropped += conn.execute(one).rowcount
    return dropped


def _drop_chat(conn: Connection, account: AccountId, moment: datetime, limit: int) -> int:
    written = call_chat.c
    old = select(written.call_id, written.ref)
    old = old.where(written.account_id == account, written.created_at < moment).limit(limit)
    dropped = 0
    for row in conn.execute(old).all():
        one = delete(call_chat).where(written.call_id == row.call_id, written.ref == row.ref)
        dropped += conn.execute(one).rowcount
    return dropped


def _expire_files(conn: Connection, account: AccountId, moment: datetime, now: datetime) -> None:
    """The sweep of files removes their bytes, then the rows."""
    old = (files.c.account_id == account) & (files.c.created_at < moment) & (files.c.expires_at > now)
    conn.execute(update(files).where(old).values(expires_at=now))
