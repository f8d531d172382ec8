"""The core as one object: what the API is given, and how facts find their way."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

from chamade_mcp.core.accounts import Accounts
from chamade_mcp.core.agents import Agents
from chamade_mcp.core.calls import CallService
from chamade_mcp.core.clients import ClientRegistry
from chamade_mcp.core.connections import Connections
from chamade_mcp.core.consents import Consents
from chamade_mcp.core.disk import Disk
from chamade_mcp.core.files import Files
from chamade_mcp.core.grants import Grants
from chamade_mcp.core.history import CallHistory
from chamade_mcp.core.hooks import Hooks
from chamade_mcp.core.hub import EventHub
from chamade_mcp.core.inbox import Inbox
from chamade_mcp.core.invitations import Invitations
from chamade_mcp.core.linking import Linking
from chamade_mcp.core.membership import Membership
from chamade_mcp.core.operators import Operators
from chamade_mcp.core.overview import Overview
from chamade_mcp.core.packages import Packages
from chamade_mcp.core.pairings import Pairings
from chamade_mcp.core.platforms import Platforms
from chamade_mcp.core.probe import Probes
from chamade_mcp.core.relay import PermissionRelay, may_be_answer
from chamade_mcp.core.repeats import Repeats
from chamade_mcp.core.reports import Report
from chamade_mcp.core.retention import Retention
from chamade_mcp.core.roster import Listed, Roster
from chamade_mcp.core.standing import Standing
from chamade_mcp.core.studio import Studio
from chamade_mcp.core.troubles import Troubles
from chamade_mcp.core.usage import Usage
from chamade_mcp.core.webhooks.endpoints import Webhooks
from chamade_mcp.kit.connector import Emit
from chamade_mcp.kit.manifest import Manifest
from chamade_mcp.kit.waiting import lasts, to_the_end
from chamade_mcp.model.access import Scope
from chamade_mcp.model.connections import Trust
from chamade_mcp.model.facts import (
    CallerGaveUp,
    CallFact,
    CallInvited,
    ChatPosted,
    DeliveryChanged,
    DigitPressed,
    Fact,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    ParticipantJoined,
    ParticipantLeft,
    ReactionChanged,
)
from chamade_mcp.model.ids import COMMON, ConnectionId, Platform


@dataclass(frozen=True, slots=True)
class Core:
    accounts: Accounts
    agents: Agents
    members: Membership
    overview: Overview
    usage: Usage
    calls: CallService
    history: CallHistory
    inbox: Inbox
    files: Files
    invitations: Invitations
    platforms: Platforms
    probes: Probes
    operators: Operators
    relay: PermissionRelay
    connections: Connections
    pairings: Pairings
    hooks: Hooks
    linking: Linking
    packages: Packages
    hub: EventHub
    clients: ClientRegistry
    consents: Consents
    grants: Grants
    repeats: Repeats
    retention: Retention
    webhooks: Webhooks
    studio: Studio
    standing: Standing
    troubles: Troubles
    disk: Disk
    public_url: str


@dataclass(frozen=True, slots=True)
class Door:
    """What people say passes it on its way in, or goes nowhere."""

    roster: Roster
    pairings: Pairings
    calls: CallService
    inbox: Inbox
    files: Files
    relay: PermissionRelay

    async def message(
        self, scope: Scope, manifest: Manifest, connection: ConnectionId, fact: MessageReceived
    ) -> None:
        link = (manifest.platform, connection)
        trust = await self._trust(scope, manifest, link, fact)
        if trust is None:
            return
        if not (may_be_answer(fact) and await self.relay.took(scope, link, fact)):
            await self.inbox.received(scope, link, fact, trust)
        if fact.attachments:
            await self.files.warm(scope, fact.attachments)

    async def messages(
        self, scope: Scope, manifest: Manifest, connection: ConnectionId, facts: Sequence[MessageReceived]
    ) -> None:
        """As each in its turn, but stored together."""
        link = (manifest.platform, connection)
        coming: list[tuple[MessageReceived, Trust]] = []
        for fact in facts:
            trust = await self._trust(scope, manifest, link, fact)
            if trust is not None and not (may_be_answer(fact) and await self.relay.took(scope, link, fact)):
                coming.append((fact, trust))
        if coming:
            await self.inbox.received_together(scope, link, coming)
        for fact, _ in coming:
            if fact.attachments:
                await self.files.warm(scope, fact.attachments)

    async def _trust(
        self, scope: Scope, manifest: Manifest, link: tuple[Platform, ConnectionId], fact: MessageReceived
    ) -> Trust | None:
        """None: it may not come in, and what came with it is gone."""
        if manifest.embedded:
            return Trust.INVITED
        listed = self._listed(scope, link)
        trust = listed and await self.pairings.admit(
            listed, fact.sender, fact.conversation, group=fact.group is not None
        )
        if trust is None:
            await self.files.discard(scope, fact.attachments)
        return trust

    async def ring(
        self, scope: Scope, manifest: Manifest, connection: ConnectionId, fact: CallInvited
    ) -> None:
        link = (manifest.platform, connection)
        if not manifest.embedded:
            listed = self._listed(scope, link)
            if listed is None or await self.pairings.admit(listed, fact.caller, None) is None:
                await self.calls.turn_away(link, fact)
                return
        await self.calls.invited(scope, link, fact)

    def _listed(self, scope: Scope, link: tuple[Platform, ConnectionId]) -> Listed | None:
        """None for a connection that was removed while this was on its way."""
        platform, connection = link
        if connection != COMMON:
            return self.roster.get(connection)
        return self.roster.shared(scope, platform)


def emitter(door: Door, manifest: Manifest, connection: ConnectionId = COMMON) -> Emit:
    """Where the facts of a link go."""

    def emit(scope: Scope, /, *facts: Fact) -> Awaitable[None]:
        match facts:
            case (MessageReceived() as fact,):  # as most are
                taking = door.message(scope, manifest, connection, fact)
            case _:
                taking = take_all(scope, facts)
        # A connector's task may end with the socket that said it: what was said is told all the same.
        return taking if lasts() else to_the_end(taking)

    async def take_all(scope: Scope, facts: Sequence[Fact]) -> None:
        said: list[MessageReceived] = []
        for fact in facts:
            if isinstance(fact, MessageReceived):
                said.append(fact)
                continue
            await door.messages(scope, manifest, connection, said)
            said = []
            await _take(door, scope, manifest, connection, fact)
        await door.messages(scope, manifest, connection, said)

    return emit


async def _take(
    door: Door, scope: Scope, manifest: Manifest, connection: ConnectionId, fact: Report | CallFact
) -> None:
    match fact:
        case MessageEdited() | MessageDeleted() | ReactionChanged() | DeliveryChanged():
            await door.inbox.reported(scope, (manifest.platform, connection), fact)
        case ChatPosted():
            await door.calls.chat_posted(fact)
        case ParticipantJoined():
            door.calls.participant_joined(fact)
        case ParticipantLeft():
            door.calls.participant_left(fact)
        case DigitPressed():
            await door.calls.digit_pressed(fact)
        case CallInvited():
            await door.ring(scope, manifest, connection, fact)
        case CallerGaveUp():
            await door.calls.caller_gave_up(scope, (manifest.platform, connection), fact)
