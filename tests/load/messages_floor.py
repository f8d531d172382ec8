"""What storing a message costs at least, with these tables and these threads: a Starlette route that does
nothing but hand a message and its event to a thread, which commits all that wait by the bare driver."""

import asyncio
import json
import sqlite3
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from chamade_mcp.kit.clock import SystemClock, iso
from chamade_mcp.model.ids import new_message_id
from chamade_mcp.store.migrate import migrate

_MOST: Final = 64
_Waiting = tuple[dict[str, str], asyncio.Future[None]]
_MESSAGE: Final = (
    "INSERT INTO messages (id, account_id, conversation_id, seq, direction, ref, sender_name, text,"
    " attachments, status, created_at, sender_ref, trust, before_seq) SELECT ?, 'acct_floor', id, ?,"
    " 'inbound', ?, ref, ?, '[]', 'received', ?, ref, 'invited', last_seq FROM conversations WHERE id = ?"
)
_EVENT: Final = "INSERT INTO events VALUES ('acct_floor', ?, 'agent_floor', 'dm_chat', NULL, ?, ?)"
_TOUCH: Final = "UPDATE conversations SET last_seq = ?, last_message_at = ?, last_inbound_at = ? WHERE id = ?"


def floor_app(data_dir: Path, conversations: int) -> Starlette:
    """The same at `/hook` as the gateway's, and nothing else."""
    loop, queue = asyncio.get_running_loop(), SimpleQueue[list[_Waiting]]()
    coming: list[_Waiting] = []
    threading.Thread(
        target=_write, args=(data_dir / "floor.db", conversations, queue, loop), daemon=True
    ).start()

    def hand_over() -> None:
        queue.put(coming.copy())
        coming.clear()

    async def hook(request: Request) -> JSONResponse:
        said, stored = json.loads(await request.body()), loop.create_future()
        if not coming:
            loop.call_soon(hand_over)
        coming.append((said, stored))
        await stored
        return JSONResponse({})

    return Starlette(routes=[Route("/hook", hook, methods=["POST"])])


def _write(
    path: Path, conversations: int, queue: SimpleQueue[list[_Waiting]], loop: asyncio.AbstractEventLoop
) -> None:
    db, clock, seq = _opened(path, conversations), SystemClock(), 0
    while True:
        batch = queue.get()
        while not queue.empty() and len(batch) < _MOST:
            batch += queue.get()
        now = clock.now()
        at, messages, events = iso(now), list[tuple[object, ...]](), list[tuple[object, ...]]()
        touched = list[tuple[object, ...]]()
        for said, _ in batch:
            seq, key = seq + 1, new_message_id(now)
            payload = {**said, "type": "dm_chat", "message_id": key, "timestamp": at}
            messages.append((key, seq, said["id"], said["text"], at, f"conv_{said['from']}"))
            events.append((seq, json.dumps(payload), at))
            touched.append((seq, at, at, f"conv_{said['from']}"))
        db.execute("BEGIN IMMEDIATE")
        db.executemany(_MESSAGE, messages)
        db.executemany(_TOUCH, touched)
        db.executemany(_EVENT, events)
        db.execute("COMMIT")
        loop.call_soon_threadsafe(_answer, batch)


def _answer(batch: list[_Waiting]) -> None:
    for _, stored in batch:
        if not stored.done():
            stored.set_result(None)


def _opened(path: Path, conversations: int) -> sqlite3.Connection:
    migrate(path)
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON"):
        db.execute(f"PRAGMA {pragma}")
    db.execute(
        "INSERT INTO accounts (id, email, name, password_hash, created_at)"
        " VALUES ('acct_floor', '', '', '', '')"
    )
    db.executemany(
        "INSERT INTO conversations (id, account_id, agent_id, platform, ref, remote_name, status, created_at,"
        " last_message_at) VALUES (?, 'acct_floor', 'agent_floor', 'floor', ?, '', 'active', '', '')",
        [(f"conv_person-{number}", f"person-{number}") for number in range(conversations)],
    )
    return db
