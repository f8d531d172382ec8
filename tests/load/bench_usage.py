"""What GET /api/usage reads of an account with a million messages, and how long they take to be counted.

    .venv/bin/python tests/load/bench_usage.py [messages]

The baseline of the same run is the count of these messages by platform and day, from the messages themselves.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from sqlalchemy import Connection, text

from chamade_mcp.core import usage_rows
from chamade_mcp.kit.clock import iso
from chamade_mcp.model.access import Principal
from chamade_mcp.store import schema
from chamade_mcp.store.migrate import migrate
from tests.support.house import House, open_house

PLATFORMS = ("telegram", "slack", "web", "discord", "whatsapp", "teams", "nctalk")
CONVERSATIONS, CALLS, DAYS, ROUNDS = 1_000, 10_000, 90, 7
SCAN = text(
    "SELECT platform, substr(messages.created_at, 1, 10), direction, count(*) FROM messages"
    " JOIN conversations ON conversations.id = conversation_id"
    " WHERE messages.account_id = :account GROUP BY 1, 2, 3"
)


def fill(conn: Connection, house: House, owner: Principal, messages: int) -> None:
    """Half of them answers, one in 5,000 not delivered, all within 90 days."""
    now, ours = house.clock.now(), {"account_id": owner.account, "agent_id": owner.scope.agent}
    for n in range(CONVERSATIONS):
        place = {"platform": PLATFORMS[n % 7], "ref": str(n), "remote_name": "x", "status": "active"}
        at = {"created_at": now, "last_message_at": now}
        conn.execute(schema.conversations.insert().values(id=f"conv_{n}", **ours, **place, **at))
    for n in range(CALLS):
        began = now - timedelta(days=DAYS * n / CALLS)
        values = dict.fromkeys(("caller", "room_id", "participant_id", "agent_name", "capabilities"), "")
        values |= {"platform": "web", "state": "ended", "direction": "outbound"}
        ended = {"created_at": began, "ended_at": began + timedelta(minutes=1)}
        row = schema.calls.insert().values(id=f"call_{n}", **ours, **values, **ended, meeting_url_sealed=b"")
        conn.execute(row)
    driver = conn.connection.driver_connection
    assert driver is not None
    driver.executemany(
        "INSERT INTO messages (id, account_id, conversation_id, seq, direction, ref, sender_name, text,"
        " attachments, status, created_at, before_seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '[]', ?, ?, ?)",
        (
            (
                f"msg_{n}",
                owner.account,
                f"conv_{n % CONVERSATIONS}",
                n + 1,
                "outbound" if (mine := n // CONVERSATIONS % 2) else "inbound",
                f"r{n}",
                "" if mine else "Ann",
                "hello " * 10,
                "failed" if n % 5000 == 4999 else "delivered",
                iso(now - timedelta(days=DAYS * (messages - n) / messages)),
                n + 1 - CONVERSATIONS if n >= CONVERSATIONS else None,
            )
            for n in range(messages)
        ),
    )
    conn.execute(schema.accounts.update().values(message_seq=messages))


async def best_ms(act: Callable[[], Awaitable[object]]) -> float:
    took: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await act()
        took.append(time.perf_counter() - began)
    return min(took) * 1000


async def measure(house: House, messages: int) -> None:
    owner = await house.owner()
    await house.database.write(partial(fill, house=house, owner=owner, messages=messages))
    page = partial(usage_rows.count_messages, account=owner.account)
    began, longest = time.perf_counter(), 0.0
    more = True
    while more:
        turn = time.perf_counter()
        more = await house.database.write(page)
        longest = max(longest, time.perf_counter() - turn)
    took = time.perf_counter() - began
    print(f"counted {messages:,} in {took:.1f} s, at most {longest * 1000:.0f} ms at once")
    scan = await best_ms(
        lambda: house.database.read(lambda conn: conn.execute(SCAN, {"account": owner.account}).all())
    )
    print(f"baseline, from the messages: {scan:.0f} ms")
    for days in (7, 30, 90):
        read = await best_ms(partial(house.usage.of, owner, days))
        print(f"{days} days: {read:.0f} ms, {read / scan:.3f} of the baseline")


async def main() -> None:
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chamade.db"
        await asyncio.to_thread(migrate, path)
        async with open_house(path) as house:
            await measure(house, messages)


if __name__ == "__main__":
    asyncio.run(main())
