"""The newcomer's list: from a key to an agent that has talked with a person."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from chamade_mcp.api.account import OkWire
from chamade_mcp.api.fields import Wire
from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.core.first_steps import FirstSteps
from chamade_mcp.model.access import Permission


class StepWire(Wire):
    step: Annotated[
        Literal["key", "client", "link", "message", "answer", "call"],
        Field(
            description="A `key` or a grant; a `client` that has used it; a `link` for a person; their first"
            " `message`; the agent's `answer`; a `call` that came about"
        ),
    ]
    done: bool


class FirstStepsWire(Wire):
    steps: Annotated[list[StepWire], Field(description="In their order")]
    dismissed: Annotated[bool, Field(description="The owner has put the list away, or was through with it")]


@dataclass(frozen=True, slots=True)
class FirstStepGroup:
    steps: FirstSteps

    async def look(self, asked: Asked[None, None]) -> Answer:
        return await self.steps.look(asked.principal)

    async def dismiss(self, asked: Asked[None, None]) -> Answer:
        await self.steps.dismiss(asked.principal)
        return {"status": "ok"}

    def group(self) -> Group:
        manage, path = Permission.MANAGE, "/api/first-steps"
        return Group(
            "First steps",
            "How far the account is on the way to an agent that talks with people.",
            (
                Operation(
                    "GET",
                    path,
                    "What is done",
                    self.look,
                    manage,
                    every_agent=True,
                    reply=FirstStepsWire,
                ),
                Operation(
                    "DELETE",
                    path,
                    "Put the list away",
                    self.dismiss,
                    manage,
                    every_agent=True,
                    reply=OkWire,
                    notes="It is remembered at the account. Twice is harmless.",
                ),
            ),
        )
