"""Is it up, is it ready, what can it do."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version

from chamade_mcp.api.fields import Wire
from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.kit.clock import Clock, iso
from chamade_mcp.model.errors import Unavailable


class HealthWire(Wire):
    status: str


class HeartbeatWire(HealthWire):
    version: str
    time: str


@dataclass(frozen=True, slots=True)
class SystemGroup:
    ready: Callable[[], bool]
    database_answers: Callable[[], Awaitable[bool]]
    clock: Clock

    async def healthz(self, asked: Asked[None, None]) -> Answer:
        del asked
        return {"status": "ok"}

    async def readyz(self, asked: Asked[None, None]) -> Answer:
        del asked
        if not self.ready():
            raise Unavailable("Starting or shutting down", code="NOT_READY", retry_after=1)
        if not await self.database_answers():
            raise Unavailable("The database does not answer", code="NOT_READY", retry_after=1)
        return {"status": "ok"}

    async def heartbeat(self, asked: Asked[None, None]) -> Answer:
        del asked
        return {"status": "ok", "version": version("chamade-mcp"), "time": iso(self.clock.now())}

    def group(self) -> Group:
        return Group(
            "System",
            "For monitors, and for clients that want to know whether the gateway can be reached.",
            (
                Operation(
                    "GET", "/healthz", "The process is alive", self.healthz, public=True, reply=HealthWire
                ),
                Operation(
                    "GET",
                    "/readyz",
                    "The gateway takes requests",
                    self.readyz,
                    public=True,
                    reply=HealthWire,
                    errors={503: ("NOT_READY",)},
                ),
                Operation(
                    "GET",
                    "/api/heartbeat",
                    "The API can be reached",
                    self.heartbeat,
                    public=True,
                    reply=HeartbeatWire,
                ),
            ),
        )
