"""What the call service works with."""

from dataclasses import dataclass

from chamade_mcp.core.engine import CallEngine
from chamade_mcp.core.files import Files
from chamade_mcp.core.hub import EventHub
from chamade_mcp.core.platforms import Platforms
from chamade_mcp.core.studio import Studio
from chamade_mcp.kit.clock import Clock
from chamade_mcp.store.database import Database
from chamade_mcp.store.secrets import SecretBox


@dataclass(frozen=True, slots=True)
class CallDeps:
    engine: CallEngine
    studio: Studio
    database: Database
    box: SecretBox
    hub: EventHub
    clock: Clock
    platforms: Platforms
    files: Files
    public_url: str
    limit: int
    """Calls an account may have at once."""
