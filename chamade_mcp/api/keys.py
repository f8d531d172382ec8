"""API keys: list, create, revoke (CONTRACT section 1.5)."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from chamade_mcp.api.account import OkWire
from chamade_mcp.api.fields import Body, FromNumber, Line, Wire
from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.core.accounts import Accounts, require_verified
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
    expires_in_days: Annotated[
        Annotated[int, Field(ge=1, le=3650), FromNumber] | None,
        Field(description="Absent: until it is revoked"),
    ] = None


class KeyWire(Wire):
    id: str
    prefix: str
    name: str
    permissions: list[Permission]
    created_at: str
    expires_at: str | None


class ListedKeyWire(KeyWire):
    last_used_at: str | None


class NewKeyWire(KeyWire):
    key: Annotated[str, Field(description="The full key, told this once")]


class KeysWire(Wire):
    api_keys: list[ListedKeyWire]


@dataclass(frozen=True, slots=True)
class KeyGroup:
    accounts: Accounts
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
        expires_at = None
        if body.expires_in_days is not None:
            expires_at = self.clock.now() + timedelta(days=body.expires_in_days)
        key = await self.accounts.create_key(
            principal.scope, body.name, expires_at=expires_at, permissions=permissions
        )
        return key.to_wire()

    async def revoke(self, asked: Asked[None, None]) -> Answer:
        await self.accounts.revoke_key(asked.principal, asked.ids["key_id"])
        return {"status": "ok"}

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
                    errors={403: ("EMAIL_NOT_VERIFIED", "KEY_OR_SESSION_REQUIRED")},
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
            ),
        )
