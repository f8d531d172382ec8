"""The core as one object: what the API is given, and how facts find their way."""

from dataclasses import dataclass

from chamade_mcp.core.accounts import Accounts
from chamade_mcp.core.calls import CallService
from chamade_mcp.core.clients import ClientRegistry
from chamade_mcp.core.consents import Consents
from chamade_mcp.core.files import Files
from chamade_mcp.core.grants import Grants
from chamade_mcp.core.hub import EventHub
from chamade_mcp.core.inbox import Inbox
from chamade_mcp.core.invitations import Invitations
from chamade_mcp.core.operators import Operators
from chamade_mcp.core.overview import Overview
from chamade_mcp.core.platforms import Platforms
from chamade_mcp.core.probe import Probes
from chamade_mcp.core.relay import PermissionRelay
from chamade_mcp.core.repeats import Repeats
from chamade_mcp.core.retention import Retention
from chamade_mcp.core.studio import Studio
from chamade_mcp.core.webhooks.endpoints import Webhooks
from chamade_mcp.kit.connector import Emit
from chamade_mcp.kit.waiting import to_the_end
from chamade_mcp.model.access import Scope
from chamade_mcp.model.facts import (
    CallerGaveUp,
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
from chamade_mcp.model.ids import Platform


@dataclass(frozen=True, slots=True)
class Core:
    accounts: Accounts
    overview: Overview
    calls: CallService
    inbox: Inbox
    files: Files
    invitations: Invitations
    platforms: Platforms
    probes: Probes
    operators: Operators
    relay: PermissionRelay
    hub: EventHub
    clients: ClientRegistry
    consents: Consents
    grants: Grants
    repeats: Repeats
    retention: Retention
    webhooks: Webhooks
    studio: Studio
    public_url: str


def emitter(platform: Platform, calls: CallService, inbox: Inbox, relay: PermissionRelay) -> Emit:
    """Where a connector's facts go."""

    async def emit(scope: Scope, fact: Fact) -> None:
        # A connector's task may end with the socket that said it: what was said is told all the same.
        await to_the_end(take(scope, fact))

    async def take(scope: Scope, fact: Fact) -> None:
        match fact:
            case MessageReceived():
                if not await relay.took(scope, platform, fact):
                    await inbox.received(scope, platform, fact)
            case MessageEdited() | MessageDeleted() | ReactionChanged() | DeliveryChanged():
                await inbox.reported(scope, platform, fact)
            case ChatPosted():
                await calls.chat_posted(fact)
            case ParticipantJoined():
                calls.participant_joined(fact)
            case ParticipantLeft():
                calls.participant_left(fact)
            case DigitPressed():
                await calls.digit_pressed(fact)
            case CallInvited():
                await calls.invited(scope, platform, fact)
            case CallerGaveUp():
                await calls.caller_gave_up(scope, platform, fact)

    return emit
