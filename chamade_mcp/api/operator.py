"""The operator: in which conversation an agent's owner is asked, and answers."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StringConstraints

from chamade_mcp.api.account import OkWire
from chamade_mcp.api.fields import Body, Wire
from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.core.operators import Operators
from chamade_mcp.core.relay import PermissionRelay
from chamade_mcp.model.access import Permission, Principal
from chamade_mcp.model.errors import Forbidden


class OperatorBody(Body):
    conversation_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]


class OperatorWire(Wire):
    conversation_id: str
    platform: str
    name: Annotated[str, Field(description="The person's, as the platform tells it")]
    since: str


class OperatorAnswerWire(Wire):
    operator: OperatorWire | None


@dataclass(frozen=True, slots=True)
class OperatorGroup:
    operators: Operators
    relay: PermissionRelay

    async def look(self, asked: Asked[None, None]) -> Answer:
        operator = await self.operators.of(asked.principal.scope)
        return {"operator": None if operator is None else operator.to_wire()}

    async def appoint(self, asked: Asked[OperatorBody, None]) -> Answer:
        _require_owner(asked.principal)
        operator = await self.relay.appoint(asked.principal, asked.body.conversation_id)
        return {"operator": operator.to_wire()}

    async def dismiss(self, asked: Asked[None, None]) -> Answer:
        _require_owner(asked.principal)
        await self.relay.dismiss(asked.principal)
        return {"status": "ok"}

    def group(self) -> Group:
        manage, path = Permission.MANAGE, "/api/operator"
        grants = {403: ("KEY_OR_SESSION_REQUIRED",)}
        return Group(
            "Operator",
            "The person behind the agent, known by one conversation. Requests of an MCP client for "
            "permission to use a tool are asked there, and answered with `yes abcde` or `no abcde`. Whoever "
            "writes in that conversation can answer: keep its link to yourself.",
            (
                Operation("GET", path, "Who it is", self.look, manage, reply=OperatorAnswerWire),
                Operation(
                    "POST",
                    path,
                    "Choose the conversation",
                    self.appoint,
                    manage,
                    body=OperatorBody,
                    reply=OperatorAnswerWire,
                    errors={**grants, 404: ("CONVERSATION_NOT_FOUND",)},
                    notes="In place of the one before. Both are told in their conversations.",
                ),
                Operation(
                    "DELETE", path, "Ask nobody any more", self.dismiss, manage, reply=OkWire, errors=grants
                ),
            ),
        )


def _require_owner(principal: Principal) -> None:
    """A client that was let in must not choose who answers for it."""
    if principal.grant is not None:
        raise Forbidden(
            "The operator is chosen with a key or on the dashboard", code="KEY_OR_SESSION_REQUIRED"
        )
