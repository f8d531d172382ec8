"""The core over a real SQLite file, a virtual clock and a scripted platform."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from sqlalchemy import Connection

from chamade_mcp.core import file_rows, recording_rows
from chamade_mcp.core.accounts import Accounts
from chamade_mcp.core.allowances import Allowances
from chamade_mcp.core.call_deps import CallDeps
from chamade_mcp.core.calls import CallService
from chamade_mcp.core.connections import ConnectionDeps, Connections
from chamade_mcp.core.engine import CallEngine, EngineDeps
from chamade_mcp.core.fetch import Fetcher
from chamade_mcp.core.files import Files, FilesDeps
from chamade_mcp.core.gateway import Door, emitter
from chamade_mcp.core.handovers import Handovers
from chamade_mcp.core.history import CallHistory
from chamade_mcp.core.hooks import Hooks
from chamade_mcp.core.hub import MemoryHub
from chamade_mcp.core.inbox import Inbox, InboxDeps
from chamade_mcp.core.invitations import Invitations
from chamade_mcp.core.link_files import LinkFiles
from chamade_mcp.core.linking import Linking
from chamade_mcp.core.mcp_sessions import McpSessions
from chamade_mcp.core.membership import Membership, membership
from chamade_mcp.core.neighbours import Neighbours
from chamade_mcp.core.notices import Notices
from chamade_mcp.core.operators import Operators
from chamade_mcp.core.overview import Overview
from chamade_mcp.core.pairings import Pairings
from chamade_mcp.core.past import InboxHistory
from chamade_mcp.core.people import PairingLinks
from chamade_mcp.core.platforms import Platforms
from chamade_mcp.core.probe import Listed, Probes
from chamade_mcp.core.recordings import Recordings, RecordingsDeps
from chamade_mcp.core.relay import PermissionRelay
from chamade_mcp.core.roster import Roster
from chamade_mcp.core.standings import Standings
from chamade_mcp.core.studio import Studio
from chamade_mcp.core.supervisor import Supervisor
from chamade_mcp.core.usage import Usage
from chamade_mcp.core.webhooks.carrier import Carrier
from chamade_mcp.core.webhooks.couriers import CourierDeps, Couriers
from chamade_mcp.core.webhooks.endpoints import WebhookDeps, Webhooks
from chamade_mcp.kit.clock import SteadyTime
from chamade_mcp.kit.connection import StoredConnection
from chamade_mcp.kit.connector import Connector, Context
from chamade_mcp.kit.registry import Registry, discover
from chamade_mcp.kit.testing import ScriptedConnector, VirtualClock
from chamade_mcp.kit.testing_bots import ScriptedBots
from chamade_mcp.kit.ticker import Ticker
from chamade_mcp.model.access import ALL_PERMISSIONS, Bounds, Principal, Scope
from chamade_mcp.model.ids import COMMON, Platform, new_account_id, new_agent_id
from chamade_mcp.store import schema
from chamade_mcp.store.blobs import LocalBlobs
from chamade_mcp.store.database import Database
from chamade_mcp.store.secrets import SecretBox
from tests.support.elsewhere import Elsewhere
from tests.support.letterbox import Letterbox
from tests.support.receiver import Receiver

PUBLIC_URL = "http://gateway.test"
CALL_LIMIT = 3
GRACE_S = 30.0
FILE_CAP = 1000
FILE_QUOTA = 10_000
RECORDINGS_QUOTA = 10_000_000


@dataclass(slots=True)
class House:
    database: Database
    clock: VirtualClock
    box: SecretBox
    hub: MemoryHub
    ticker: Ticker
    supervisor: Supervisor
    studio: Studio
    recordings: Recordings
    engine: CallEngine
    accounts: Accounts
    members: Membership
    letterbox: Letterbox
    calls: CallService
    history: CallHistory
    inbox: Inbox
    files: Files
    blobs: LocalBlobs
    files_root: Path
    elsewhere: Elsewhere
    """The servers that URLs may name."""
    invitations: Invitations
    platforms: Platforms
    probes: Probes
    operators: Operators
    mcp_sessions: McpSessions
    relay: PermissionRelay
    overview: Overview
    usage: Usage
    webhooks: Webhooks
    receiver: Receiver
    """Where the account's webhooks arrive."""
    roster: Roster
    connections: Connections
    pairings: Pairings
    pairing_links: PairingLinks
    hooks: Hooks
    linking: Linking
    platform: ScriptedConnector
    """The scripted platform; embedded, so that it is connected for everybody."""
    bots: ScriptedBots
    """The platform to which people bring their own bots."""
    _numbers: "itertools.count[int]"

    async def owner(self, *, verified: bool = True) -> Principal:
        """A new account with its agent, without the cost of a password."""
        account, agent, now = new_account_id(), new_agent_id(), self.clock.now()
        email = f"owner{next(self._numbers)}@example.org"

        def insert(conn: Connection) -> None:
            conn.execute(
                schema.accounts.insert().values(
                    id=account,
                    email=email,
                    email_verified=verified,
                    name="Owner",
                    password_hash="-",
                    created_at=now,
                )
            )
            conn.execute(
                schema.agents.insert().values(
                    id=agent, account_id=account, name="AI Agent", is_default=True, created_at=now
                )
            )

        await self.database.write(insert)
        return Principal(Scope(account, agent), ALL_PERMISSIONS, verified)

    def context(
        self,
        platform: Platform,
        connection: StoredConnection | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Context:
        which = connection.id if connection else COMMON
        known = {m.platform: m for m in self.platforms.manifests}
        manifest = known.get(platform) or discover().manifests[platform]
        door = Door(self.roster, self.pairings, self.calls, self.inbox, self.files, self.relay)
        return Context(
            clock=self.clock,
            ticker=self.ticker,
            emit=emitter(door, manifest, which),
            invites=self.invitations.of(platform),
            files=LinkFiles(self.files, (platform, which)),
            history=InboxHistory(self.database, platform, which),
            public_url=PUBLIC_URL,
            settings=self.platforms.link_settings(platform, settings) if platform in known else {},
            secret=self.box.derive,
            people=self.pairing_links.of(platform, which),
            connection=connection,
        )


@asynccontextmanager
async def open_house(
    database_path: Path,
    *,
    platform: ScriptedConnector | None = None,
    bots: ScriptedBots | None = None,
    shared: bool = False,
    reply_timeout_s: float = 0,
    grace_s: float = GRACE_S,
    secret: str = "a secret of the tests",
    database: Database | None = None,
) -> AsyncGenerator[House]:
    """Everything started as the gateway does it, and stopped in its order.

    With `shared`, the platform of `bots` has one for everybody. The reply clock runs for those who test it:
    nobody else has to reckon with its indicator.
    """
    database = database or Database(database_path)
    try:
        files_root, platform = database_path.parent / "files", platform or ScriptedConnector()
        bots = bots or ScriptedBots()
        told = {"client_id": "ours"} | ({"bot_token": bots.accept("for-all")} if shared else {})
        settings = {bots.manifest.platform: told}
        house = _build(database, files_root, platform, bots, settings, reply_timeout_s, grace_s, secret)
        await house.engine.start()
        await house.supervisor.start(house.context)
        await house.connections.start(house.context)
        await house.inbox.start()
        await house.webhooks.start()
        try:
            yield house
        finally:
            passing = asyncio.create_task(_pass(house.clock))
            await house.engine.stop()
            await house.studio.close()
            await house.inbox.stop()
            await house.pairings.stop()
            await house.supervisor.stop()
            await house.webhooks.stop()
            passing.cancel()
    finally:
        database.close()


async def _pass(clock: VirtualClock) -> None:
    """Time goes on while the gateway stops: what a failed test left under way would else be waited for."""
    while True:
        await clock.advance(1)
        await asyncio.sleep(0.001)


async def _no_grants(bounds: Bounds) -> Listed:
    return ()


def _build(
    database: Database,
    files_root: Path,
    platform: ScriptedConnector,
    bots: ScriptedBots,
    shared: Mapping[Platform, Mapping[str, str]],
    reply_timeout_s: float,
    grace_s: float,
    secret: str,
) -> House:
    clock, ticker, box = VirtualClock(), Ticker(), SecretBox(secret)
    connectors: Mapping[Platform, Connector] = {
        platform.manifest.platform: platform,
        bots.manifest.platform: bots,
    }
    # All that people bring bots to are known here, and none of them can be run.
    described = {
        name: replace(m, available=False) for name, m in discover().manifests.items() if not m.embedded
    }
    manifests = described | {name: connector.manifest for name, connector in connectors.items()}
    registry = Registry(MappingProxyType(manifests), MappingProxyType(connectors), shared)
    roster, supervisor = Roster(), Supervisor(connectors, clock, registry.shared)
    platforms = Platforms(registry, roster)
    hub, accounts = MemoryHub(database, clock), Accounts(database, clock)
    invitations = Invitations(database, clock, platforms, supervisor)
    elsewhere = Elsewhere()
    fetcher = Fetcher(elsewhere.outbound(), clock)
    blobs = LocalBlobs(files_root)
    files = Files(FilesDeps(database, clock, blobs, supervisor, fetcher, PUBLIC_URL, FILE_CAP, FILE_QUOTA))
    spool = files_root.parent / "recordings"
    recordings = Recordings(RecordingsDeps(database, hub, clock, blobs, spool, PUBLIC_URL))
    studio = Studio(database, hub, clock, recordings, RECORDINGS_QUOTA)
    engine = CallEngine(EngineDeps(database, box, hub, clock, ticker, supervisor, studio, grace_s=grace_s))
    calls = CallService(
        CallDeps(engine, studio, database, box, hub, clock, platforms, files, PUBLIC_URL, CALL_LIMIT)
    )
    notices = Notices(clock)
    mcp_sessions = McpSessions(database, clock, notices)
    probes = Probes(hub, Neighbours(database, notices), clock, keys=accounts.keys.list, grants=_no_grants)
    inbox = Inbox(InboxDeps(database, hub, clock, platforms, supervisor, files, probes, reply_timeout_s))
    operators = Operators(database, clock)
    standings = Standings(database)
    pairings = Pairings(database, standings, clock, roster, supervisor)
    tied = ConnectionDeps(
        database, box, clock, hub, platforms, roster, supervisor, operators, connectors, PUBLIC_URL
    )
    connections, links = Connections(tied), PairingLinks(database, standings, box, clock, roster)
    for leave in (
        connections.forget,
        engine.end_all,
        studio.forget,
        invitations.revoke_all,
        files.remove_all,
        inbox.forget,
        probes.forget,
    ):
        accounts.on_delete(leave)
    accounts.on_erase(file_rows.ids_of, files.remove_bytes)
    accounts.on_erase(recording_rows.tracks_within, recordings.remove_bytes)
    receiver, time = Receiver(), SteadyTime(clock)
    outbound = receiver.outbound()
    carrier = Carrier(outbound, box, clock, receiver.hosts)
    couriers = Couriers(CourierDeps(database, hub, clock, carrier, time))
    webhooks = Webhooks(WebhookDeps(database, clock, time, box, outbound, carrier, couriers))
    accounts.on_delete(webhooks.leave)
    return House(
        database=database,
        clock=clock,
        box=box,
        hub=hub,
        ticker=ticker,
        supervisor=supervisor,
        studio=studio,
        recordings=recordings,
        engine=engine,
        accounts=accounts,
        members=membership(
            database,
            clock,
            accounts,
            public_url=PUBLIC_URL,
            key=b"k" * 32,
            post=(letterbox := Letterbox()),
            sign_up_open=True,
        ),
        letterbox=letterbox,
        calls=calls,
        history=CallHistory(database, recordings),
        inbox=inbox,
        files=files,
        blobs=blobs,
        files_root=files_root,
        elsewhere=elsewhere,
        invitations=invitations,
        platforms=platforms,
        probes=probes,
        operators=operators,
        mcp_sessions=mcp_sessions,
        relay=PermissionRelay(operators, inbox, mcp_sessions, clock),
        overview=Overview(database, accounts, platforms, calls, inbox, operators),
        usage=Usage(database, clock, calls, Allowances(database, calls, files, studio)),
        webhooks=webhooks,
        receiver=receiver,
        roster=roster,
        connections=connections,
        pairings=pairings,
        pairing_links=links,
        hooks=Hooks(connectors, roster, supervisor, Handovers(tied, connections)),
        linking=Linking(tied, connections, links),
        platform=platform,
        bots=bots,
        _numbers=itertools.count(1),
    )
