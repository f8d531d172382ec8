"""API keys: list, create, revoke (CONTRACT section 1.5)."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from chamade_mcp.api.account import OkWire
from chamade_mcp.api.fields import Body, FromNumber, Line, Wire
from chamade_mcp.api.operation import Answer, Asked, Group, Operation, Reply
from chamade_mcp.core.accounts import Accounts, require_verified
from chamade_mcp.core.agents import Agents
from chamade_mcp.core.probe import Probes
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.access import Permission
from chamade_mcp.model.errors import Forbidden


class NewKeyBody(Body):
    name: Line
    permissions: Annotated[
        list[Permission] | None,
        Field(
            min_length=1,
            max_length=len(Permission),
            description="At most the caller's own, which is the default",
        ),
    ] = None
    agent_id: Annotated[
        str | None, Field(max_length=64, description="The agent that it acts for; one's own without")
    ] = None
    expires_in_days: Annotated[
        Annotated[int, Field(ge=1, le=3650), FromNumber] | None,
        Field(description="Absent: until it is revoked"),
    ] = None


class KeyWire(Wire):
    id: str
    prefix: str
    name: str
    agent_id: Annotated[str, Field(description="The agent that it acts for")]
    permissions: list[Permission]
    created_at: str
    expires_at: str | None


class ListedKeyWire(KeyWire):
    agent_name: str
    last_used_at: str | None


class NewKeyWire(KeyWire):
    key: Annotated[str, Field(description="The full key, told this once")]


class KeysWire(Wire):
    api_keys: list[ListedKeyWire]


class PingedWire(Wire):
    id: str
    name: Annotated[str, Field(description="Of the key, or of the client that was granted")]
    verdict: Annotated[
        Literal["waiting", "replied", "connected_silent", "used_recently", "not_connected"],
        Field(
            description="`connected_silent`: it was reached and did not answer; `used_recently`: nothing "
            "listens with it, but something used it in the last ten minutes"
        ),
    ]
    replied_after_s: float | None


class PingWire(Wire):
    ping_id: str
    waiting: Annotated[bool, Field(description="Answers still count; 30 s from the start")]
    started_at: str
    ends_at: str
    keys: list[PingedWire]
    grants: list[PingedWire]


@dataclass(frozen=True, slots=True)
class KeyGroup:
    accounts: Accounts
    agents: Agents
    probes: Probes
    clock: Clock

    async def list(self, asked: Asked[None, None]) -> Answer:
        return {"api_keys": await self.accounts.list_keys(asked.principal)}

    async def create(self, asked: Asked[NewKeyBody, None]) -> Answer:
        principal, body = asked.principal, asked.body
        require_verified(principal)
        if principal.grant is not None:
            # It would outlive the grant: whoever takes a client's access back must have taken all of it.
            raise Forbidden(
                "A key is made with another key or on the dashboard", code="KEY_OR_SESSION_REQUIRED"
            )
        permissions = principal.permissions if body.permissions is None else frozenset(body.permissions)
        beyond = permissions - principal.permissions
        if beyond:
            raise Forbidden(
                f"A key cannot give more than it has: {', '.join(sorted(beyond))}",
                code="INSUFFICIENT_PERMISSIONS",
            )
        scope = await self.agents.scope(principal, body.agent_id)
        if Permission.MANAGE in permissions:
            await self.accounts.sign_ins.require_fresh(principal)
        expires_at = None
        if body.expires_in_days is not None:
            expires_at = self.clock.now() + timedelta(days=body.expires_in_days)
        key = await self.accounts.create_key(scope, body.name, expires_at=expires_at, permissions=permissions)
        return key.to_wire()

    async def revoke(self, asked: Asked[None, None]) -> Answer:
        await self.accounts.revoke_key(asked.principal, asked.ids["key_id"])
        return {"status": "ok"}

    async def ping(self, asked: Asked[None, None]) -> Answer:
        fresh, told = await self.probes.start(asked.principal)
        return Reply(201 if fresh else 200, told)

    async def pinged(self, asked: Asked[None, None]) -> Answer:
        return await self.probes.view(asked.principal, asked.ids["ping_id"])

    def group(self) -> Group:
        manage = Permission.MANAGE
        return Group(
            "API keys",
            "A key says who calls and what it may do: `read`, `message`, `call`, `manage`.",
            (
                Operation("GET", "/api/api-keys", "List the keys", self.list, manage, reply=KeysWire),
                Operation(
                    "POST",
                    "/api/api-keys",
                    "Create a key",
                    self.create,
                    manage,
                    body=NewKeyBody,
                    reply=NewKeyWire,
                    status=201,
                    errors={
                        403: ("EMAIL_NOT_VERIFIED", "KEY_OR_SESSION_REQUIRED", "CONFIRMATION_REQUIRED"),
                        404: ("AGENT_NOT_FOUND",),
                    },
                ),
                Operation(
                    "DELETE",
                    "/api/api-keys/{key_id}",
                    "Revoke a key",
                    self.revoke,
                    manage,
                    reply=OkWire,
                    errors={404: ("KEY_NOT_FOUND",)},
                ),
                Operation(
                    "POST",
                    "/api/api-keys/ping",
                    "Ask the agents for a sign of life",
                    self.ping,
                    manage,
                    reply=PingWire,
                    status=201,
                    also={200: "One is under way already: that one"},
                    notes="A message on the platform `chamade_probe` goes to whoever listens; any answer "
                    "there within 30 s counts for the key or grant it came with.",
                ),
                Operation(
                    "GET",
                    "/api/api-keys/ping/{ping_id}",
                    "Who has answered",
                    self.pinged,
                    manage,
                    reply=PingWire,
                    errors={404: ("PING_NOT_FOUND",)},
                    notes="Can be read for ten minutes, and does not outlive a restart.",
                ),
            ),
        )
