"""Writes numbers and prints each once it is committed, until the process is killed."""

import asyncio
import sys
from pathlib import Path

from sqlalchemy import Connection, text

from chamade_mcp.store.database import Database


async def write(database: Database, number: int) -> None:
    def insert(conn: Connection) -> None:
        conn.execute(text("INSERT INTO t VALUES (:n)"), {"n": number})

    await database.write(insert)
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


async def main() -> None:
    database = Database(Path(sys.argv[1]))
    await database.write(lambda conn: conn.execute(text("CREATE TABLE t (n INTEGER PRIMARY KEY)")) and None)
    for start in range(0, 1_000_000, 8):
        await asyncio.gather(*(write(database, start + n) for n in range(8)))


asyncio.run(main())
