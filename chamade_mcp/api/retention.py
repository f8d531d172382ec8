"""How long an account's data is kept."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from chamade_mcp.api.fields import Body, FromNumber, Wire
from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.core.retention import Retention
from chamade_mcp.model.access import Permission

Days = Annotated[int, Field(ge=1, le=3650), FromNumber]


class RetentionBody(Body):
    messages_days: Days | None = None
    files_days: Days | None = None
    transcripts_days: Days | None = None
    recordings_days: Days | None = None


class RetentionWire(Wire):
    messages_days: Annotated[int | None, Field(description="null: until the account is deleted")]
    files_days: Annotated[int | None, Field(description="null: each as long as files of its kind are kept")]
    transcripts_days: Annotated[int | None, Field(description="null: until the account is deleted")]
    recordings_days: Annotated[int | None, Field(description="null: until the account is deleted")]


@dataclass(frozen=True, slots=True)
class RetentionGroup:
    retention: Retention

    async def show(self, asked: Asked[None, None]) -> Answer:
        return (await self.retention.of(asked.principal)).to_wire()

    async def change(self, asked: Asked[RetentionBody, None]) -> Answer:
        named = asked.body.model_dump(exclude_unset=True)
        return (await self.retention.change(asked.principal, named)).to_wire()

    def group(self) -> Group:
        return Group(
            "Retention",
            "How many days messages, files, transcripts and recordings are kept.",
            (
                Operation(
                    "GET",
                    "/api/retention",
                    "How long data is kept",
                    self.show,
                    Permission.READ,
                    reply=RetentionWire,
                ),
                Operation(
                    "PATCH",
                    "/api/retention",
                    "Set how long data is kept",
                    self.change,
                    Permission.MANAGE,
                    every_agent=True,
                    body=RetentionBody,
                    reply=RetentionWire,
                    notes="What is not named stays as it is; `null` sets no limit. What has become too old "
                    "is removed within the hour, for good.",
                ),
            ),
        )
