"""How much an agent was used: calls, messages, failures and how fast it answers, by the day."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from chamade_mcp.core import usage_rows as rows
from chamade_mcp.core.allowances import Allowances
from chamade_mcp.core.calls import CallService
from chamade_mcp.core.spread import percentile_s
from chamade_mcp.kit.chores import forever
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.ids import AccountId
from chamade_mcp.store.database import Database

_COUNT_EVERY_S: Final = 60.0
_BETWEEN_PAGES_S: Final = 0.1
"""Where nobody waits for the count: whoever writes goes first."""


@dataclass(slots=True)
class _Figures:
    """Of a day, of a platform, or of all."""

    calls: int = 0
    call_s: int = 0
    messages_in: int = 0
    messages_out: int = 0
    failed: int = 0
    answers: Counter[int] = field(default_factory=Counter[int])

    def take(self, key: rows.Key, amount: int) -> None:
        match key.measure:
            case rows.IN:
                self.messages_in += amount
            case rows.OUT:
                self.messages_out += amount
            case rows.FAILED:
                self.failed += amount
            case rows.ANSWER:
                self.answers[key.step] += amount
            case _:
                raise ValueError(f"{key.measure} is not counted")

    def take_calls(self, found: rows.CallsOfDay) -> None:
        self.calls += found.calls
        self.call_s += found.seconds

    def add(self, other: "_Figures") -> None:
        self.calls += other.calls
        self.call_s += other.call_s
        self.messages_in += other.messages_in
        self.messages_out += other.messages_out
        self.failed += other.failed
        self.answers.update(other.answers)

    def counts(self) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "call_s": self.call_s,
            "messages_in": self.messages_in,
            "messages_out": self.messages_out,
            "failed": self.failed,
        }

    def to_wire(self) -> dict[str, Any]:
        return {
            **self.counts(),
            "answers": self.answers.total(),
            "answer_p50_s": percentile_s(self.answers, 0.5),
            "answer_p95_s": percentile_s(self.answers, 0.95),
        }


@dataclass(slots=True)
class _Day:
    whole: _Figures = field(default_factory=_Figures)
    platforms: dict[str, _Figures] = field(default_factory=dict[str, _Figures])

    def parts(self, platform: str) -> tuple[_Figures, _Figures]:
        return self.whole, self.platforms.setdefault(platform, _Figures())

    def add(self, other: "_Day") -> None:
        for platform, figures in other.platforms.items():
            for part in self.parts(platform):
                part.add(figures)

    def to_wire(self) -> dict[str, Any]:
        by_name = sorted(self.platforms.items())
        return {**self.whole.to_wire(), "platforms": {name: each.counts() for name, each in by_name}}


class Usage:
    """Informational: nothing is cut off by it."""

    def __init__(self, database: Database, clock: Clock, calls: CallService, allowances: Allowances) -> None:
        self._database = database
        self._clock = clock
        self._calls = calls
        self.allowances = allowances

    async def of(self, principal: Principal, days: int) -> dict[str, Any]:
        """The last `days` days of UTC, today's among them."""
        await self.count(principal.account)
        today = self._clock.now().date()
        first = today - timedelta(days=days - 1)
        read = partial(self._read, scope=principal.scope, first=first.isoformat())
        activity, found = await self._database.read(read)
        named = [(first + timedelta(days=n)).isoformat() for n in range(days)]
        total = _Day()
        for name in named:
            if name in found:
                total.add(found[name])
        return {
            "call_count": sum(one["calls"] for one in activity.values()),
            "concurrent_calls": self._calls.concurrent(principal),
            "platforms": activity,
            "first_day": named[0],
            "last_day": named[-1],
            "total": {
                **total.whole.to_wire(),
                "platforms": {name: each.to_wire() for name, each in sorted(total.platforms.items())},
            },
            "days": [{"day": name, **found.get(name, _Day()).to_wire()} for name in named],
        }

    def _read(
        self, conn: Connection, scope: Scope, first: str
    ) -> tuple[dict[str, dict[str, int]], Mapping[str, _Day]]:
        found: dict[str, _Day] = {}
        for key, amount in rows.counted(conn, scope, first).items():
            for part in found.setdefault(key.day, _Day()).parts(key.platform):
                part.take(key, amount)
        for one in rows.calls_by_day(conn, scope, first, self._clock.now()):
            for part in found.setdefault(one.day, _Day()).parts(one.platform):
                part.take_calls(one)
        return rows.activity(conn, scope), found

    async def count(self, account: AccountId) -> None:
        await rows.count_up(self._database, account)

    async def count_all(self) -> None:
        """Page by page, at leisure."""
        for account in await self._database.read(rows.uncounted):
            while await self._database.write(partial(rows.count_messages, account=account)):
                await self._clock.sleep(_BETWEEN_PAGES_S)

    async def count_forever(self) -> None:
        await forever(self._clock, _COUNT_EVERY_S, self.count_all, "usage was not counted this time")
