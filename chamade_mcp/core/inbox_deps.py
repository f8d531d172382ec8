"""What the inbox works with, in both directions."""

from dataclasses import dataclass

from chamade_mcp.core.files import Files
from chamade_mcp.core.hub import EventHub
from chamade_mcp.core.platforms import ConnectionId, Platforms
from chamade_mcp.core.probe import Probes
from chamade_mcp.core.supervisor import Supervisor
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connector import Messages
from chamade_mcp.model.errors import no_active_conversation
from chamade_mcp.model.ids import Platform
from chamade_mcp.store.database import Database


@dataclass(frozen=True, slots=True)
class InboxDeps:
    database: Database
    hub: EventHub
    clock: Clock
    platforms: Platforms
    supervisor: Supervisor
    files: Files
    probes: Probes
    reply_timeout_s: float
    """How long an agent has to answer before the person is told; 0: for ever."""

    def messages(self, platform: Platform, connection: ConnectionId) -> Messages:
        """Of the live link; raises `Unavailable`."""
        messages = self.supervisor.link(platform, connection).messages
        if messages is None:
            raise no_active_conversation(platform)
        return messages
