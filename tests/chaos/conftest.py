"""A gateway as a process of its own, with the platforms of `platforms.py`, and traffic at it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select

from chamade_mcp.store.database import sqlite_engine
from chamade_mcp.store.schema import accounts, conversations, messages
from tests.chaos.platforms import BOOKS, install
from tests.chaos.traffic import Traffic, set_up
from tests.support.gateway_process import GatewayProcess, gateway_process

pytest.register_assert_rewrite("tests.chaos.checks")

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Stored:
    """One message as it stands in the database."""

    id: str
    platform: str
    person: str
    conversation: str
    inbound: bool
    text: str
    status: str


@dataclass
class Scene:
    gateway: GatewayProcess
    api: httpx2.AsyncClient
    traffic: Traffic
    folder: Path
    welcome: str
    """What the first start had told on the terminal: the key is in there."""

    @property
    def database(self) -> Path:
        return self.folder / "data" / "chamade.db"

    def stored(self) -> list[Stored]:
        """In the order in which they were accepted."""
        found = (
            select(
                messages.c.id,
                conversations.c.platform,
                conversations.c.remote_name,
                messages.c.conversation_id,
                messages.c.direction == "inbound",
                messages.c.text,
                messages.c.status,
            )
            .join(conversations, conversations.c.id == messages.c.conversation_id)
            .order_by(messages.c.seq)
        )
        engine = sqlite_engine(self.database)
        with engine.connect() as conn:
            rows = [Stored(*row) for row in conn.execute(found)]
        engine.dispose()
        return rows

    def newest_event(self) -> int:
        engine = sqlite_engine(self.database)
        with engine.connect() as conn:
            newest = conn.execute(select(accounts.c.event_seq)).scalar_one()
        engine.dispose()
        return newest


@asynccontextmanager
async def scene(folder: Path) -> AsyncGenerator[Scene]:
    install(folder / "package")
    path = f"{folder / 'package'}:{ROOT}"
    async with gateway_process(folder / "data", PYTHONPATH=path, **{BOOKS: str(folder)}) as gateway:
        limits = httpx2.Limits(max_connections=100)
        async with httpx2.AsyncClient(
            base_url=gateway.url, headers={"x-api-key": gateway.key}, timeout=60, limits=limits
        ) as api:
            welcome = gateway.log.read_text()
            yield Scene(gateway, api, await set_up(api, gateway.url, gateway.key), folder, welcome)


@pytest.fixture
async def chaos(tmp_path: Path) -> AsyncGenerator[Scene]:
    async with scene(tmp_path) as one:
        yield one
