"""How much was used, by the day, and what there are limits for."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from chamade_mcp.api.account import ConcurrentCallsWire
from chamade_mcp.api.fields import FromText, Query, Wire
from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.core.allowances import COUNT, KEY, Allowance
from chamade_mcp.core.usage import Usage
from chamade_mcp.model.access import Permission
from chamade_mcp.sessions.streams import MOST_PER_CREDENTIAL

_STREAMS: Final = Allowance("event_streams", MOST_PER_CREDENTIAL, COUNT, KEY, "STREAM_LIMIT_REACHED")


class UsageQuery(Query):
    days: Annotated[
        int, Field(ge=1, le=366, description="How many days back, today's (of UTC) among them"), FromText
    ] = 30


class CountsWire(Wire):
    calls: Annotated[int, Field(description="That began then, answered or not")]
    call_s: Annotated[int, Field(description="Seconds of calls that were answered, from their beginning")]
    messages_in: int
    messages_out: Annotated[int, Field(description="What the gateway itself tells people is not counted")]
    failed: Annotated[int, Field(description="Messages that were not delivered, and still are not")]


class FiguresWire(CountsWire):
    answers: Annotated[int, Field(description="How often the agent wrote next after a person")]
    answer_p50_s: Annotated[
        float | None,
        Field(description="Half of these came within so many seconds of what the person wrote (within 8 %)"),
    ]
    answer_p95_s: Annotated[float | None, Field(description="19 of 20 did")]


class UsedWire(FiguresWire):
    platforms: Annotated[dict[str, FiguresWire], Field(description="Those on which there was anything")]


class DayWire(FiguresWire):
    platforms: Annotated[dict[str, CountsWire], Field(description="Those on which there was anything")]
    day: Annotated[str, Field(description="Of UTC, such as 2026-11-21")]


class ActivityWire(Wire):
    calls: int
    conversations: int


class UsageWire(Wire):
    call_count: Annotated[int, Field(description="Of all that are remembered")]
    concurrent_calls: ConcurrentCallsWire
    platforms: Annotated[dict[str, ActivityWire], Field(description="All that is remembered")]
    first_day: str
    last_day: str
    total: Annotated[UsedWire, Field(description="From the first day to the last")]
    days: Annotated[list[DayWire], Field(description="Each of them, in order")]


class LimitWire(Wire):
    name: Annotated[str, Field(description="What is limited. Later versions may know more")]
    limit: int
    used: Annotated[int | None, Field(description="Of it, now; null where there is no one number")]
    unit: Literal["count", "bytes", "characters"]
    of: Annotated[
        Literal["account", "agent", "key", "connection", "message", "file"],
        Field(description="Each one of these has this limit"),
    ]
    per_s: Annotated[int | None, Field(description="So many in any so many seconds; null: at a time")]
    code: Annotated[str, Field(description="The error beyond it")]
    setting: Annotated[str | None, Field(description="By which whoever runs the gateway changes it")]


class LimitsWire(Wire):
    limits: list[LimitWire]


@dataclass(frozen=True, slots=True)
class UsageGroup:
    usage: Usage

    async def of(self, asked: Asked[None, UsageQuery]) -> Answer:
        return await self.usage.of(asked.principal, asked.query.days)

    async def limits(self, asked: Asked[None, None]) -> Answer:
        found = await self.usage.allowances.of(asked.principal)
        return {"limits": [allowance.to_wire() for allowance in (*found, _STREAMS)]}

    def group(self) -> Group:
        return Group(
            "Usage",
            "How much was used, and what there are limits for. Nothing is cut off by what was used.",
            (
                Operation(
                    "GET",
                    "/api/usage",
                    "What was used; informational",
                    self.of,
                    Permission.READ,
                    query=UsageQuery,
                    reply=UsageWire,
                    notes="Messages are counted as they come; their counts stay when retention removes them. "
                    "Calls that are forgotten are counted no more.",
                ),
                Operation(
                    "GET",
                    "/api/limits",
                    "What there are limits for, and how much of each is used",
                    self.limits,
                    Permission.READ,
                    reply=LimitsWire,
                ),
            ),
        )
