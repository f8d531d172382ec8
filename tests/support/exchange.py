"""A request without a transport around it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chamade_mcp.model.access import Caller
from chamade_mcp.sessions.surface import INTERNAL_ERROR, JsonObject, ProtocolFault


@dataclass
class Alone:
    """An `Exchange` with a client that takes nothing but the answer; what was told on the way is kept."""

    caller: Caller
    client_capabilities: Mapping[str, object] = field(default_factory=dict[str, object])
    input_responses: Mapping[str, object] = field(default_factory=dict[str, object])
    request_state: str | None = None
    told: list[object] = field(default_factory=list[object])

    async def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        self.told.append((done, total, message))

    async def log(self, level: str, data: object) -> None:
        self.told.append((level, data))

    async def ask(self, method: str, params: JsonObject) -> JsonObject:
        raise ProtocolFault(INTERNAL_ERROR, f"nobody to ask for {method}")
