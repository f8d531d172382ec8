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
from chamade_mcp.model.permissions import PermissionRequest


class OperatorBody(Body):
    conversation_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]


class OperatorWire(Wire):
    conversation_id: str
    platform: str
    name: Annotated[str, Field(description="The person's, as the platform tells it")]
    since: str


class OperatorAnswerWire(Wire):
    operator: OperatorWire | None


class QuestionBody(Body):
    session: Annotated[
        str,
        Field(description="The SHA-256 of the MCP session's id, in hexadecimal"),
        StringConstraints(pattern=r"^[0-9a-f]{64}$"),
    ]
    request_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    tool_name: Annotated[str, StringConstraints(max_length=4_000)] = ""
    description: Annotated[str, StringConstraints(max_length=4_000)] = ""
    input_preview: Annotated[str, StringConstraints(max_length=4_000)] = ""


class QuestionAnswerWire(Wire):
    asked: Annotated[bool, Field(description="False: nobody is asked, so nobody will answer")]


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

    async def ask(self, asked: Asked[QuestionBody, None]) -> Answer:
        body = asked.body
        request = PermissionRequest(body.request_id, body.tool_name, body.description, body.input_preview)
        return {"asked": await self.relay.requested(asked.principal, body.session, request)}

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
                Operation(
                    "POST",
                    f"{path}/questions",
                    "Ask for permission to use a tool",
                    self.ask,
                    Permission.READ,
                    body=QuestionBody,
                    reply=QuestionAnswerWire,
                    errors={404: ("SESSION_NOT_FOUND",)},
                    notes="What the MCP endpoint does with a client's `permission_request`. The verdict goes "
                    "to that session's stream as `notifications/claude/channel/permission`.",
                ),
            ),
        )


def _require_owner(principal: Principal) -> None:
    """A client that was let in must not choose who answers for it."""
    if principal.grant is not None:
        raise Forbidden(
            "The operator is chosen with a key or on the dashboard", code="KEY_OR_SESSION_REQUIRED"
        )
