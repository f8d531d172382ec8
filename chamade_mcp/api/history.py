"""Calls that were: which there are, how each went, and forgetting them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from chamade_mcp.api.fields import FromText, Query, State, Wire
from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.core.call import Direction
from chamade_mcp.core.history import CallHistory
from chamade_mcp.model.access import Permission


class CallsQuery(Query):
    limit: Annotated[int, Field(ge=1, le=200), FromText] = 50
    before: Annotated[str | None, Field(max_length=32, description="`next` of the page before")] = None


class MomentsQuery(Query):
    limit: Annotated[int, Field(ge=1, le=1000), FromText] = 200
    offset: Annotated[int, Field(ge=0, le=1_000_000, description="`next` of the page before"), FromText] = 0


class PastCallWire(Wire):
    call_id: str
    platform: str
    direction: Direction
    caller: Annotated[str, Field(description="Who rang; empty for outbound calls")]
    agent_name: str
    people: Annotated[
        list[str], Field(description="Who was there, by name: 100 at most, and none before the call is over")
    ]
    state: State
    created_at: str
    ended_at: str | None
    lines: Annotated[int, Field(description="Of the transcript")]
    messages: Annotated[int, Field(description="In the chat of the call")]
    recordings: int


class PastCallsWire(Wire):
    calls: list[PastCallWire]
    next: Annotated[str | None, Field(description="`before` of the next page; null on the last")]


class MomentWire(Wire):
    at: str
    offset_ms: Annotated[int, Field(description="Since the call was made")]
    kind: Literal["state", "speech", "chat", "key", "recording", "error"]
    who: Annotated[str, Field(description="Who spoke, wrote, rang or pressed the key, if anybody did")]
    mine: Annotated[bool, Field(description="The agent wrote it")]
    text: Annotated[str, Field(description="The state, the words, the key, or what went wrong")]
    attachments: list[dict[str, object]]
    code: Annotated[str | None, Field(description="Of an error, or why a recording ended")]
    recording_id: str | None


class TimelineWire(Wire):
    moments: list[MomentWire]
    next: Annotated[int | None, Field(description="`offset` of the next page; null on the last")]


class ForgottenWire(Wire):
    status: Literal["ok"]


@dataclass(frozen=True, slots=True)
class HistoryGroup:
    history: CallHistory

    async def page(self, asked: Asked[None, CallsQuery]) -> Answer:
        return await self.history.page(asked.principal, asked.query.before, asked.query.limit)

    async def get(self, asked: Asked[None, None]) -> Answer:
        return await self.history.get(asked.principal, asked.ids["call_id"])

    async def timeline(self, asked: Asked[None, MomentsQuery]) -> Answer:
        page = asked.query
        return await self.history.timeline(asked.principal, asked.ids["call_id"], page.offset, page.limit)

    async def forget(self, asked: Asked[None, None]) -> Answer:
        await self.history.forget(asked.principal, asked.ids["call_id"])
        return {"status": "ok"}

    def group(self) -> Group:
        read = Permission.READ
        one = "/api/calls/history/{call_id}"
        return Group(
            "Call history",
            "Every call there was, for as long as its account keeps them, and how it went.",
            (
                Operation(
                    "GET",
                    "/api/calls/history",
                    "All calls, the newest first",
                    self.page,
                    read,
                    query=CallsQuery,
                    reply=PastCallsWire,
                    errors={404: ("CALL_NOT_FOUND",)},
                ),
                Operation("GET", one, "One of them", self.get, read, reply=PastCallWire),
                Operation(
                    "GET",
                    f"{one}/timeline",
                    "How a call went, the oldest first",
                    self.timeline,
                    read,
                    query=MomentsQuery,
                    reply=TimelineWire,
                    notes="States, keys, recordings and errors are kept as long as events; what was said and "
                    "written as long as the account's `transcripts_days`.",
                ),
                Operation(
                    "DELETE",
                    one,
                    "Forget a call: its transcript, its chat and its recordings, for good",
                    self.forget,
                    Permission.CALL,
                    reply=ForgottenWire,
                    errors={409: ("CALL_UNDER_WAY", "RECORDING_UNDER_WAY")},
                ),
            ),
        )
