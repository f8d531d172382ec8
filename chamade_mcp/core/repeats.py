"""Requests that may come again: done once per `Idempotency-Key`, answered alike every time for a day."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, select, update

from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import Action, Conflict, FieldError, Unavailable, ValidationFailed
from chamade_mcp.model.ids import new_message_id
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import repeats
from chamade_mcp.store.secrets import SecretBox

log = logging.getLogger(__name__)

KEPT: Final = timedelta(hours=24)
_PURPOSE: Final = "answers to requests"


class KeyReused(ValidationFailed):
    """The key came with another request before."""

    default_code = "IDEMPOTENCY_KEY_REUSED"

    def __init__(self) -> None:
        words = "was used for another request within 24 hours: take a new key for a new request"
        super().__init__([FieldError("Idempotency-Key", words)])


@dataclass(frozen=True, slots=True)
class Request:
    """One request to be done once. `digest` tells whether another with the same key is the same."""

    scope: Scope
    key: str
    digest: str

    @property
    def place(self) -> tuple[Scope, str]:
        return self.scope, self.key


@dataclass(frozen=True, slots=True)
class Answered:
    """What the first of them was answered."""

    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Begun:
    """To be done now. What is made bears `message_id`, the same after a crash in the middle."""

    message_id: str


@dataclass(slots=True)
class _Here:
    """A request of this process: under way, or answered, and that is not stored yet."""

    digest: str
    answer: Answered | None = None


class Repeats:
    """One process at a time does the work of a store: what an earlier one left undone is taken up."""

    def __init__(self, database: Database, clock: Clock, box: SecretBox) -> None:
        self._database = database
        self._clock = clock
        self._box = box
        self._here: dict[tuple[Scope, str], _Here] = {}
        """No more than are under way at a time: while answers cannot be stored, nothing is begun either."""

    async def begin(self, request: Request) -> Begun | Answered:
        """Raises `Conflict` while the first is under way, and `KeyReused`."""
        here = self._here.get(request.place)
        if here is not None:
            return await self._again(request, here)
        self._here[request.place] = _Here(request.digest)
        try:
            row = await self._database.write(partial(self._claim, request=request))
        except BaseException:
            del self._here[request.place]
            raise
        if row.status is None:
            return Begun(row.message_id)
        del self._here[request.place]
        return Answered(row.status, self._box.open(_PURPOSE, row.answer_sealed))

    async def _again(self, request: Request, here: _Here) -> Answered:
        if here.digest != request.digest:
            raise KeyReused
        if here.answer is None:
            raise Conflict(
                "The first request with this Idempotency-Key is still under way",
                code="IDEMPOTENCY_KEY_IN_USE",
                action=Action.RETRY,
                retry_after=1,
            )
        answer = here.answer
        await self.finish(request, answer)
        return answer

    async def finish(self, request: Request, answer: Answered) -> None:
        """It is done, and told so whatever the database says: the answer is kept here until that takes it."""
        self._here[request.place] = _Here(request.digest, answer)
        sealed = self._box.seal(_PURPOSE, answer.body)

        def store(conn: Connection) -> None:
            conn.execute(
                update(repeats).where(*_of(request)).values(status=answer.status, answer_sealed=sealed)
            )

        try:
            await self._database.write(store)
        except Unavailable as error:
            log.warning("the answer to a request with a key is not stored yet: %s", error)
        else:
            self._here.pop(request.place, None)

    async def release(self, request: Request) -> None:
        """Nothing was done: the next one with this key begins anew."""

        def remove(conn: Connection) -> None:
            conn.execute(delete(repeats).where(*_of(request)))

        try:
            await self._database.write(remove)
        except Unavailable as error:
            log.warning("a request with a key that was not done stays noted: %s", error)
        finally:
            self._here.pop(request.place, None)

    def _claim(self, conn: Connection, request: Request) -> Row[Any]:
        """The row to go by. One without an answer is of a process that ended, or could not be removed."""
        now = self._clock.now()
        conn.execute(delete(repeats).where(*_of(request), repeats.c.expires_at <= now))
        found = conn.execute(select(repeats).where(*_of(request))).one_or_none()
        if found is None:
            values = {
                "account_id": request.scope.account,
                "agent_id": request.scope.agent,
                "key": request.key,
                "digest": request.digest,
                "message_id": new_message_id(now),
                "expires_at": now + KEPT,
            }
            return conn.execute(repeats.insert().values(values).returning(repeats)).one()
        if found.digest != request.digest:
            raise KeyReused
        return found


def drop_expired(conn: Connection, now: datetime) -> int:
    return conn.execute(delete(repeats).where(repeats.c.expires_at <= now)).rowcount


def _of(request: Request) -> tuple[Any, ...]:
    scope = request.scope
    return (
        repeats.c.account_id == scope.account,
        repeats.c.agent_id == scope.agent,
        repeats.c.key == request.key,
    )
