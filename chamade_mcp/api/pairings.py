"""Who may write to the agent: requests of strangers, and people who are let in."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StringConstraints

from chamade_mcp.api.account import OkWire
from chamade_mcp.api.fields import Body, OptionalLine, Query, Secret, Wire
from chamade_mcp.api.operation import Answer, AnyOperation, Asked, Group, Operation
from chamade_mcp.core.connections import Connections
from chamade_mcp.core.pairings import Pairings
from chamade_mcp.model.access import Permission
from chamade_mcp.model.connections import Standing

_ConnectionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,128}$")]


class PageQuery(Query):
    status: Annotated[Standing | None, Field(description="All of them without")] = None
    connection_id: _ConnectionId | None = None


class CodeBody(Body):
    code: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z0-9]{8}$"),
        Field(description="What the stranger was told, and has told you"),
    ]


class PersonBody(Body):
    connection_id: _ConnectionId
    sender_id: Annotated[Secret, Field(description="The person, by the platform's own id")]
    name: OptionalLine = ""


class PairingWire(Wire):
    id: str
    connection_id: str
    platform: str | None
    bot: Annotated[str | None, Field(description="The bot they write to")]
    sender_id: str
    name: Annotated[str, Field(description="As they call themselves: anybody can take any name")]
    status: Standing
    code: Annotated[str | None, Field(description="Of a pending request")]
    created_at: str
    expires_at: Annotated[str | None, Field(description="Of a pending request")]


class PairingsWire(Wire):
    pairings: list[PairingWire]


@dataclass(frozen=True, slots=True)
class PairingGroup:
    pairings: Pairings
    connections: Connections

    async def page(self, asked: Asked[None, PageQuery]) -> Answer:
        query = asked.query
        found = await self.pairings.page(asked.principal, state=query.status, connection=query.connection_id)
        return {"pairings": found}

    async def add(self, asked: Asked[PersonBody, None]) -> Answer:
        body = asked.body
        listed = self.connections.get(asked.principal.bounds, body.connection_id)
        return await self.pairings.add(asked.principal, listed, body.sender_id, body.name)

    async def approve_code(self, asked: Asked[CodeBody, None]) -> Answer:
        return await self.pairings.approve_code(asked.principal, asked.body.code)

    async def approve(self, asked: Asked[None, None]) -> Answer:
        return await self.pairings.approve(asked.principal, asked.ids["pairing_id"])

    async def deny(self, asked: Asked[None, None]) -> Answer:
        return await self.pairings.deny(asked.principal, asked.ids["pairing_id"])

    async def revoke(self, asked: Asked[None, None]) -> Answer:
        await self.pairings.revoke(asked.principal, asked.ids["pairing_id"])
        return {"status": "ok"}

    def group(self) -> Group:
        return Group(
            "Pairings",
            "Who may write to the agent over a connection. A person decides that: no tool of an agent can.",
            (*self._people(), *self._decisions()),
        )

    def _people(self) -> tuple[AnyOperation, ...]:
        manage = Permission.MANAGE
        return (
            Operation(
                "GET",
                "/api/pairings",
                "Requests, and people who are let in or kept out",
                self.page,
                manage,
                query=PageQuery,
                reply=PairingsWire,
                notes="The newest first, 500 at most.",
            ),
            Operation(
                "POST",
                "/api/pairings",
                "Let somebody in who did not ask",
                self.add,
                manage,
                body=PersonBody,
                reply=PairingWire,
                errors={
                    404: ("CONNECTION_NOT_FOUND",),
                    409: ("EMBEDDED_PLATFORM",),
                    429: ("PAIRING_LIMIT_REACHED",),
                },
            ),
            Operation(
                "POST",
                "/api/pairings/approve",
                "Approve the request with a code",
                self.approve_code,
                manage,
                body=CodeBody,
                reply=PairingWire,
                errors={404: ("PAIRING_NOT_FOUND",), 429: ("RATE_LIMITED",)},
                notes="Ten wrong codes in ten minutes are told to wait.",
            ),
        )

    def _decisions(self) -> tuple[AnyOperation, ...]:
        manage, path, missing = (
            Permission.MANAGE,
            "/api/pairings/{pairing_id}",
            {404: ("PAIRING_NOT_FOUND",)},
        )
        return (
            Operation(
                "POST",
                f"{path}/approve",
                "Let somebody in",
                self.approve,
                manage,
                reply=PairingWire,
                errors=missing,
                notes="They are told so. Twice is once.",
            ),
            Operation(
                "POST",
                f"{path}/deny",
                "Keep somebody out",
                self.deny,
                manage,
                reply=PairingWire,
                errors=missing,
                notes="They are not told, and cannot ask again.",
            ),
            Operation(
                "DELETE",
                path,
                "Forget somebody",
                self.revoke,
                manage,
                reply=OkWire,
                errors=missing,
                notes="They are a stranger from now on, who may ask again.",
            ),
        )
