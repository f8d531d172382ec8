"""Files in the database. Plain functions of a connection.

A row comes before its bytes and has no size until they are there: a crash in between leaves a row that
expires, and the bytes go with it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, update

from chamade_mcp.core.bounds import inside
from chamade_mcp.model.access import Bounds, Scope
from chamade_mcp.model.ids import AccountId, FileId
from chamade_mcp.store.schema import files


def add(conn: Connection, scope: Scope, **values: Any) -> None:
    conn.execute(files.insert().values(account_id=scope.account, agent_id=scope.agent, **values))


def keep(conn: Connection, scope: Scope, now: datetime, **values: Any) -> Row[Any]:
    """A file that its platform keeps: the one that is known by this `source_ref`, as if it came now, or a new
    one. What is here of it may have changed there since, and is fetched again."""
    same = (
        (files.c.account_id == scope.account)
        & (files.c.source_ref == values["source_ref"])
        & (files.c.agent_id == scope.agent)
        & (files.c.platform == values["platform"])
        & (files.c.connection_id == values["connection_id"])
    )
    told = {name: values[name] for name in ("created_at", "expires_at", "size_bytes") if values[name]}
    again = update(files).where(same, files.c.expires_at > now).values(**told, cached_until=now)
    known = conn.execute(again.returning(files)).first()
    if known is not None:
        return known
    own = {"account_id": scope.account, "agent_id": scope.agent}
    return conn.execute(files.insert().values(**own, **values).returning(files)).one()


def get(conn: Connection, file: str) -> Row[Any] | None:
    return conn.execute(select(files).where(files.c.id == file)).one_or_none()


def change(conn: Connection, file: str, **values: Any) -> Row[Any] | None:
    return conn.execute(
        update(files).where(files.c.id == file).values(**values).returning(files)
    ).one_or_none()


def keep_until(conn: Connection, these: Sequence[FileId], moment: datetime) -> None:
    """Files that would expire before then."""
    early = files.c.id.in_(these) & (files.c.expires_at < moment)
    conn.execute(update(files).where(early).values(expires_at=moment))


def cold(conn: Connection, before: datetime) -> list[str]:
    """Files of platforms whose bytes nobody wanted lately."""
    return list(conn.execute(select(files.c.id).where(files.c.cached_until <= before)).scalars())


def cool(conn: Connection, before: datetime) -> None:
    conn.execute(update(files).where(files.c.cached_until <= before).values(cached_until=None))


def used_bytes(conn: Connection, account: AccountId, now: datetime) -> int:
    """What is kept here; not what platforms keep."""
    kept = (files.c.account_id == account) & (files.c.expires_at > now) & files.c.source_ref.is_(None)
    return conn.execute(select(func.coalesce(func.sum(files.c.size_bytes), 0)).where(kept)).scalar_one()


def complete(
    conn: Connection, file: FileId, *, mime: str, size_bytes: int, expires_at: datetime
) -> Row[Any] | None:
    """The row once its bytes are there; None when it has gone meanwhile."""
    return conn.execute(
        update(files)
        .where(files.c.id == file, files.c.size_bytes.is_(None))
        .values(mime=mime, size_bytes=size_bytes, expires_at=expires_at)
        .returning(files)
    ).one_or_none()


def claim(conn: Connection, upload_sha256: str, *, now: datetime, expires_at: datetime) -> Row[Any] | None:
    """The reservation of that upload token, used up."""
    return conn.execute(
        update(files)
        .where(files.c.upload_sha256 == upload_sha256, files.c.upload_expires_at > now)
        .values(upload_sha256=None, expires_at=expires_at)
        .returning(files)
    ).one_or_none()


def find(conn: Connection, *conditions: ColumnElement[bool]) -> Row[Any] | None:
    """A file that is complete: its bytes are here, or its platform has them."""
    return conn.execute(select(files).where(*conditions, files.c.size_bytes.is_not(None))).one_or_none()


def ids_of(conn: Connection, bounds: Bounds) -> list[str]:
    return list(conn.execute(select(files.c.id).where(inside(files, bounds))).scalars())


def drop(conn: Connection, file: FileId) -> None:
    conn.execute(delete(files).where(files.c.id == file))


def expired(conn: Connection, now: datetime) -> list[str]:
    return list(conn.execute(select(files.c.id).where(files.c.expires_at <= now)).scalars())


def drop_expired(conn: Connection, now: datetime) -> int:
    return conn.execute(delete(files).where(files.c.expires_at <= now)).rowcount
