"""The composition root: the only place that knows everything."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from starlette.types import ASGIApp

from chamade_mcp.app.front import Front
from chamade_mcp.app.main import create_app
from chamade_mcp.app.metrics import metrics_served
from chamade_mcp.app.reach import Reach
from chamade_mcp.app.secret_key import load_secret_key, prepare_data_dir
from chamade_mcp.app.settings import Settings
from chamade_mcp.core import file_rows, recording_rows
from chamade_mcp.core.accounts import Accounts
from chamade_mcp.core.agents import AgentDeps, Agents
from chamade_mcp.core.allowances import Allowances
from chamade_mcp.core.call_deps import CallDeps
from chamade_mcp.core.calls import CallService
from chamade_mcp.core.connections import ConnectionDeps
from chamade_mcp.core.consents import Consents
from chamade_mcp.core.disk import Disk, free_on_disk
from chamade_mcp.core.engine import CallEngine, EngineDeps
from chamade_mcp.core.fetch import Fetcher
from chamade_mcp.core.files import Files, FilesDeps
from chamade_mcp.core.gateway import Core, Door, emitter
from chamade_mcp.core.history import CallHistory
from chamade_mcp.core.hub import EventHub
from chamade_mcp.core.inbox import Inbox, InboxDeps
from chamade_mcp.core.invitations import Invitations
from chamade_mcp.core.link_files import LinkFiles
from chamade_mcp.core.membership import Membership, membership
from chamade_mcp.core.operators import Operators
from chamade_mcp.core.overview import Overview
from chamade_mcp.core.past import InboxHistory
from chamade_mcp.core.platforms import Platforms
from chamade_mcp.core.probe import Probes
from chamade_mcp.core.recordings import Recordings, RecordingsDeps
from chamade_mcp.core.relay import PermissionRelay
from chamade_mcp.core.repeats import Repeats
from chamade_mcp.core.retention import Retention
from chamade_mcp.core.roster import Roster
from chamade_mcp.core.studio import Studio
from chamade_mcp.core.supervisor import Supervisor
from chamade_mcp.core.usage import Usage
from chamade_mcp.core.webhooks.carrier import Carrier
from chamade_mcp.core.webhooks.couriers import CourierDeps, Couriers
from chamade_mcp.core.webhooks.endpoints import WebhookDeps, Webhooks
from chamade_mcp.kit.chores import background
from chamade_mcp.kit.clock import Clock, SteadyTime, SystemClock
from chamade_mcp.kit.connection import StoredConnection
from chamade_mcp.kit.connector import Context
from chamade_mcp.kit.outbound import Outbound
from chamade_mcp.kit.registry import Registry, discover
from chamade_mcp.kit.ticker import Ticker
from chamade_mcp.model.ids import COMMON, Platform
from chamade_mcp.store.blobs import Blobs, LocalBlobs
from chamade_mcp.store.bucket import BucketBlobs
from chamade_mcp.store.database import Database
from chamade_mcp.store.migrate import migrate
from chamade_mcp.store.secrets import SecretBox

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Gateway:
    """A running gateway: its application, its core, and the way to end it."""

    app: ASGIApp
    core: Core
    drain: Callable[[], Awaitable[None]]
    """Ends what would wait for ever; answers that are under way are finished by the server."""


@asynccontextmanager
async def build(
    settings: Settings,
    *,
    clock: Clock | None = None,
    registry: Registry | None = None,
    outbound: Outbound | None = None,
    free_bytes: Callable[[Path], int] = free_on_disk,
) -> AsyncGenerator[Gateway]:
    """Everything up: database migrated, embedded platforms open, the application ready to be served."""
    prepare_data_dir(settings.data_dir)
    box = SecretBox(load_secret_key(settings))
    await asyncio.to_thread(migrate, settings.database_path)
    database = Database(settings.database_path)
    try:
        found, guard = registry or discover().configured(settings.platforms), outbound or Outbound()
        now = clock or SystemClock()
        disk = Disk(now, partial(free_bytes, settings.data_dir), lambda: database.refusals)
        house = _House(settings, now, found, database, box, guard, disk)
        async with house.open() as gateway:
            yield gateway
    finally:
        await asyncio.to_thread(database.close)


def _blobs(settings: Settings) -> Blobs:
    if settings.files_bucket:
        return BucketBlobs(settings.files_bucket)
    return LocalBlobs(settings.data_dir / "files")


def _files(
    settings: Settings,
    database: Database,
    clock: Clock,
    outbound: Outbound,
    blobs: Blobs,
    links: Supervisor,
) -> Files:
    return Files(
        FilesDeps(
            database=database,
            clock=clock,
            blobs=blobs,
            links=links,
            fetcher=Fetcher(outbound, clock),
            public_url=settings.public_url,
            max_bytes=settings.files_max_size_bytes,
            quota_bytes=settings.files_quota_bytes,
        )
    )


def _webhooks(
    settings: Settings, database: Database, hub: EventHub, clock: Clock, box: SecretBox, outbound: Outbound
) -> Webhooks:
    time, carrier = SteadyTime(clock), Carrier(outbound, box, clock, settings.webhook_hosts)
    couriers = Couriers(CourierDeps(database, hub, clock, carrier, time))
    return Webhooks(WebhookDeps(database, clock, time, box, outbound, carrier, couriers))


def _members(
    settings: Settings, database: Database, clock: Clock, accounts: Accounts, box: SecretBox
) -> Membership:
    return membership(
        database,
        clock,
        accounts,
        public_url=settings.public_url,
        key=box.derive("passkeys"),
        post=settings.post,
        sign_up_open=settings.sign_up == "open",
    )


def _studio(settings: Settings, database: Database, hub: EventHub, clock: Clock, blobs: Blobs) -> Studio:
    folder = settings.data_dir / "recordings"
    deps = RecordingsDeps(database, hub, clock, blobs, folder, settings.public_url)
    return Studio(database, hub, clock, Recordings(deps), settings.recordings_quota_bytes)


class _House:
    """The parts, in the order in which they need each other."""

    _draining = False

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        registry: Registry,
        database: Database,
        box: SecretBox,
        outbound: Outbound,
        disk: Disk,
    ) -> None:
        url, limit, patience_s = settings.public_url, settings.max_concurrent_calls, settings.reply_timeout_s
        self._clock, self._database, self._box, self._metrics = clock, database, box, settings.metrics_port
        self._supervisor = links = Supervisor(bots := registry.connectors, clock, registry.shared)
        self._ticker, self._outbound, self._front = Ticker(), outbound, Front(url, database, box, clock)
        hub, accounts, grants = (front := self._front).hub, front.accounts, front.grants
        platforms, operators = Platforms(registry, roster := Roster()), Operators(database, clock)
        self._invitations = Invitations(database, clock, platforms, links)
        files = _files(settings, database, clock, outbound, blobs := _blobs(settings), links)
        self._studio = studio = _studio(settings, database, hub, clock, blobs)
        sound = self._ticker, links, studio, settings.resampler, settings.call_grace_s
        self._engine = engine = CallEngine(EngineDeps(database, box, hub, clock, *sound))
        calls = CallService(CallDeps(engine, studio, database, box, hub, clock, platforms, files, url, limit))
        probes = Probes(hub, front.neighbours, clock, keys=accounts.keys.list, grants=grants.list)
        inbox = Inbox(InboxDeps(database, hub, clock, platforms, links, files, probes, patience_s))
        relay = PermissionRelay(operators, inbox, front.stored, clock)
        tied = ConnectionDeps(database, box, clock, hub, platforms, roster, links, operators, bots, url)
        self._reach = reach = Reach(tied, disk)
        self._core = Core(
            accounts=accounts,
            agents=self._agents(roster, inbox),
            members=_members(settings, database, clock, accounts, box),
            overview=Overview(database, accounts, platforms, calls, inbox, operators),
            usage=Usage(database, clock, calls, Allowances(database, calls, files, studio)),
            calls=calls,
            history=CallHistory(database, studio.recordings),
            inbox=inbox,
            files=files,
            invitations=self._invitations,
            platforms=platforms,
            probes=probes,
            operators=operators,
            relay=relay,
            connections=reach.connections,
            pairings=reach.pairings,
            hooks=reach.hooks,
            linking=reach.linking,
            packages=reach.packages,
            hub=hub,
            clients=front.clients,
            consents=Consents(database, clock),
            grants=grants,
            repeats=Repeats(database, clock, box),
            retention=Retention(database, clock, inbox.messages_removed),
            webhooks=_webhooks(settings, database, hub, clock, box, outbound),
            studio=studio,
            standing=front.standing,
            troubles=reach.troubles,
            disk=disk,
            public_url=url,
        )

    def _agents(self, roster: Roster, inbox: Inbox) -> Agents:
        front, connections = self._front, self._reach.connections
        people = front.accounts, front.grants
        return Agents(
            AgentDeps(self._database, self._clock, *people, roster, connections, self._engine, inbox)
        )

    def _wire_endings(self) -> None:
        """An account that goes takes with it what it began; so does an agent, a key or a grant."""
        core = self._core
        core.probes.presence = core.relay.line = self._front.sessions
        self._front.on_revoke(core.calls.revoke_tokens)
        self._front.on_revoke(core.inbox.revoked)
        for leave in (
            core.connections.forget, self._engine.end_all, self._studio.forget, core.invitations.revoke_all,
            core.files.remove_all, core.inbox.forget, core.grants.revoke_all, self._front.sessions.leave,
            core.probes.forget, core.operators.forget, core.relay.forget, core.webhooks.leave,
        ):  # fmt: skip
            core.accounts.on_delete(leave)
        core.accounts.on_erase(file_rows.ids_of, core.files.remove_bytes)
        core.accounts.on_erase(recording_rows.tracks_within, self._studio.recordings.remove_bytes)
        for end in (
            core.accounts.keys.revoke_all, core.grants.revoke_of, core.invitations.revoke_of,
            self._studio.forget_agent, core.webhooks.leave_agent, core.files.forget_agent,
        ):  # fmt: skip
            core.agents.on_remove(end)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Gateway]:
        self._wire_endings()
        await self._engine.start()
        await self._supervisor.start(self._context)
        await self._core.connections.start(self._context)
        await self._core.inbox.start()
        await self._core.webhooks.start()
        app = create_app(
            self._core,
            self._supervisor,
            lambda: not self._draining,
            self._clock,
            self._outbound,
            self._front.sessions,
        )
        try:
            metrics = metrics_served(self._core, self._engine, self._metrics)
            sweeps = background(
                asyncio.create_task(self._core.files.sweep_forever(), name="file sweep"),
                asyncio.create_task(self._core.retention.sweep_forever(), name="retention"),
                asyncio.create_task(self._core.disk.watch_forever(), name="disk"),
                asyncio.create_task(self._core.usage.count_forever(), name="usage"),
                asyncio.create_task(self._studio.recordings.sweep_forever(), name="recording sweep"),
            )
            async with sweeps, self._front.neighbours.run(), app.run(), metrics:
                yield Gateway(app.asgi, self._core, self._drain)
        finally:
            await self._drain()

    async def _drain(self) -> None:
        self._draining = True
        self._front.sessions.drain()
        core = self._core
        heard = (core.members.stop, core.inbox.stop, core.pairings.stop, core.webhooks.stop)
        for stop in (self._engine.stop, self._studio.close, *heard, self._supervisor.stop):
            try:
                await stop()
            except Exception:  # one part that cannot stop must not keep the others from it
                log.exception("draining was not clean")

    def _context(
        self,
        platform: Platform,
        connection: StoredConnection | None = None,
        own: Mapping[str, str] | None = None,
    ) -> Context:
        which, core = connection.id if connection else COMMON, self._core
        door = Door(self._reach.roster, core.pairings, core.calls, core.inbox, core.files, core.relay)
        return Context(
            clock=self._clock,
            ticker=self._ticker,
            emit=emitter(door, core.platforms.require(platform), which),
            invites=self._invitations.of(platform),
            files=LinkFiles(core.files, (platform, which)),
            history=InboxHistory(self._database, platform, which),
            public_url=core.public_url,
            settings=core.platforms.link_settings(platform, own),
            secret=self._box.derive,
            people=self._reach.links.of(platform, which),
            connection=connection,
        )
