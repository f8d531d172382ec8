"""Agents: the named scopes of an account (CONTRACT section 6.7)."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from chamade_mcp.api.account import OkWire
from chamade_mcp.api.fields import Body, Line, Wire
from chamade_mcp.api.operation import Answer, AnyOperation, Asked, Group, Operation
from chamade_mcp.api.sign_ins import require_browser
from chamade_mcp.core.agents import Agents
from chamade_mcp.core.listing import LOOKED_AT
from chamade_mcp.model.access import Permission

_ConnectionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,128}$")]


class NewAgentBody(Body):
    name: Annotated[Line, Field(description="No other agent of the account has it, in whatever case")]


class AgentChangeBody(Body):
    name: Line | None = None
    is_default: Annotated[
        Literal[True] | None, Field(description="Takes the place of the default agent; there is always one")
    ] = None


class TakenBody(Body):
    connection_id: _ConnectionId


class TieWire(Wire):
    id: str
    platform: str
    kind: Annotated[str, Field(description="`own` or `shared`")]
    name: str
    status: str


class AgentWire(Wire):
    id: str
    name: str
    is_default: Annotated[
        bool,
        Field(description="New keys and newly connected platforms are its own, unless another is chosen"),
    ]
    current: Annotated[bool, Field(description="The key's own, or the one this browser looks after")]
    keys: int
    grants: int
    connections: list[TieWire]
    waiting: Annotated[
        int,
        Field(description=f"Of its newest {LOOKED_AT} conversations, those in which nobody has answered yet"),
    ]
    created_at: str


class AgentsWire(Wire):
    agents: list[AgentWire]


@dataclass(frozen=True, slots=True)
class AgentGroup:
    agents: Agents

    async def list(self, asked: Asked[None, None]) -> Answer:
        return {"agents": await self.agents.list(asked.principal)}

    async def make(self, asked: Asked[NewAgentBody, None]) -> Answer:
        return await self.agents.make(asked.principal, asked.body.name)

    async def change(self, asked: Asked[AgentChangeBody, None]) -> Answer:
        body = asked.body
        return await self.agents.change(
            asked.principal, asked.ids["agent_id"], name=body.name, default=body.is_default is True
        )

    async def remove(self, asked: Asked[None, None]) -> Answer:
        await self.agents.remove(asked.principal, asked.ids["agent_id"])
        return {"status": "ok"}

    async def choose(self, asked: Asked[None, None]) -> Answer:
        scope = await self.agents.scope(asked.principal, asked.ids["agent_id"])
        require_browser(asked.principal)
        return await self.agents.choose(asked.principal, scope)

    async def take(self, asked: Asked[TakenBody, None]) -> Answer:
        return await self.agents.take(asked.principal, asked.ids["agent_id"], asked.body.connection_id)

    def group(self) -> Group:
        return Group(
            "Agents",
            "The named scopes of an account; it starts with one. Each has connections, conversations, calls "
            "and files of its own, and a key or an app acts for one agent and sees nothing of another.",
            (*self._agents(), *self._looked_after()),
        )

    def _agents(self) -> tuple[AnyOperation, ...]:
        manage, path = Permission.MANAGE, "/api/agents"
        one, taken = f"{path}/{{agent_id}}", ("AGENT_NAME_TAKEN",)
        return (
            Operation(
                "GET",
                path,
                "List the agents",
                self.list,
                manage,
                reply=AgentsWire,
                notes="With a key: the one it is for.",
            ),
            Operation(
                "POST",
                path,
                "Make an agent",
                self.make,
                manage,
                every_agent=True,
                body=NewAgentBody,
                reply=AgentWire,
                status=201,
                errors={409: taken, 429: ("AGENT_LIMIT_REACHED",)},
            ),
            Operation(
                "PATCH",
                one,
                "Rename an agent, or make it the default",
                self.change,
                manage,
                every_agent=True,
                body=AgentChangeBody,
                reply=AgentWire,
                errors={409: taken},
            ),
            Operation(
                "DELETE",
                one,
                "Delete an agent",
                self.remove,
                manage,
                every_agent=True,
                reply=OkWire,
                errors={
                    403: ("CONFIRMATION_REQUIRED",),
                    409: ("AGENT_IS_DEFAULT", "AGENT_HAS_CONNECTIONS", "CALL_UNDER_WAY"),
                },
                notes="With its conversations, calls, recordings and files; its keys, apps, links and "
                "webhooks end at once. Connections are moved or disconnected before.",
            ),
        )

    def _looked_after(self) -> tuple[AnyOperation, ...]:
        manage, one = Permission.MANAGE, "/api/agents/{agent_id}"
        return (
            Operation(
                "POST",
                f"{one}/choose",
                "Look after another agent",
                self.choose,
                manage,
                reply=AgentWire,
                errors={403: ("SESSION_REQUIRED",)},
                notes="For people in a browser: everything that it asks for from now on is of this agent.",
            ),
            Operation(
                "POST",
                f"{one}/connections",
                "Move a connection to this agent",
                self.take,
                manage,
                every_agent=True,
                body=TakenBody,
                reply=AgentWire,
                errors={
                    404: ("CONNECTION_NOT_FOUND",),
                    409: ("AGENT_IS_CONNECTED", "CALL_UNDER_WAY", "EMBEDDED_PLATFORM"),
                },
                notes="Its conversations go with it, and what is said in them from now on is told to this "
                "agent alone. Calls and events that were stay with the other one.",
            ),
        )
