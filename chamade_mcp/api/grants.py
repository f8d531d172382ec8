"""Grants: which OAuth clients may act for the account, and the end of that."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from chamade_mcp.api.account import OkWire
from chamade_mcp.api.fields import Wire
from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.core.grants import Grants
from chamade_mcp.model.access import Permission


class GrantWire(Wire):
    id: str
    client_id: str
    client_name: Annotated[str, Field(description="As the client calls itself")]
    client_host: Annotated[str | None, Field(description="The host that vouches for the name, if any does")]
    agent_id: Annotated[str, Field(description="The agent that it acts as")]
    agent_name: str
    permissions: list[Permission]
    created_at: str
    last_used_at: str | None
    expires_at: Annotated[str, Field(description="When the client has to ask again")]


class GrantsWire(Wire):
    grants: list[GrantWire]


@dataclass(frozen=True, slots=True)
class GrantGroup:
    grants: Grants

    async def list(self, asked: Asked[None, None]) -> Answer:
        return {"grants": await self.grants.list(asked.principal.bounds)}

    async def revoke(self, asked: Asked[None, None]) -> Answer:
        await self.grants.revoke(asked.principal.bounds, asked.ids["grant_id"])
        return {"status": "ok"}

    def group(self) -> Group:
        manage = Permission.MANAGE
        return Group(
            "OAuth grants",
            "Clients that were let in on the consent page, without a key.",
            (
                Operation("GET", "/api/grants", "List the grants", self.list, manage, reply=GrantsWire),
                Operation(
                    "DELETE",
                    "/api/grants/{grant_id}",
                    "Revoke a grant",
                    self.revoke,
                    manage,
                    reply=OkWire,
                    errors={404: ("GRANT_NOT_FOUND",)},
                    notes="Its tokens stop working at once, and MCP sessions that live by them end.",
                ),
            ),
        )
