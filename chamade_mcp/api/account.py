"""The account itself (CONTRACT sections 1.4 and 6.1)."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from chamade_mcp.api.fields import Body, Email, Line, NewPassword, Password, Wire
from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.core.accounts import Accounts
from chamade_mcp.core.overview import Overview
from chamade_mcp.model.access import Permission
from chamade_mcp.model.capabilities import MessageFeature


class ProfileBody(Body):
    name: Line


class ChangePasswordBody(Body):
    current_password: Password
    new_password: NewPassword


class ChangeEmailBody(Body):
    new_email: Email
    password: Password


class DeleteAccountBody(Body):
    password: Annotated[Password, Field(description="Of the account, so that no stray key can erase it")]


class PlatformStateWire(Wire):
    status: Annotated[str, Field(description="`ok`, `not_configured`, or what is wrong in words")]
    capabilities: list[str]
    files: bool
    messages: Annotated[
        list[MessageFeature], Field(description="What direct messages can beyond being sent and received")
    ]


class ConcurrentCallsWire(Wire):
    active: int
    limit: int


class AccountWire(Wire):
    plan: str
    features: dict[str, str]
    features_note: str
    platforms: dict[str, PlatformStateWire]
    concurrent_calls: ConcurrentCallsWire
    identities: dict[str, object]
    last_message_cursor: Annotated[str, Field(description="Where polling of the inbox starts")]


class ProfileWire(Wire):
    account_id: str
    email: str
    email_verified: bool
    name: str
    created_at: str


class OkWire(Wire):
    status: str


_OK = {"status": "ok"}


@dataclass(frozen=True, slots=True)
class AccountGroup:
    accounts: Accounts
    about: Overview

    async def overview(self, asked: Asked[None, None]) -> Answer:
        return await self.about.account(asked.principal)

    async def rename(self, asked: Asked[ProfileBody, None]) -> Answer:
        return await self.accounts.rename(asked.principal, asked.body.name)

    async def change_password(self, asked: Asked[ChangePasswordBody, None]) -> Answer:
        body = asked.body
        await self.accounts.change_password(asked.principal, body.current_password, body.new_password)
        return _OK

    async def change_email(self, asked: Asked[ChangeEmailBody, None]) -> Answer:
        await self.accounts.change_email(asked.principal, asked.body.new_email, asked.body.password)
        return _OK

    async def delete(self, asked: Asked[DeleteAccountBody, None]) -> Answer:
        await self.accounts.delete(asked.principal, asked.body.password)
        return _OK

    async def export(self, asked: Asked[None, None]) -> Answer:
        return await self.about.export(asked.principal)

    async def usage(self, asked: Asked[None, None]) -> Answer:
        return await self.about.usage(asked.principal)

    def group(self) -> Group:
        read, manage = Permission.READ, Permission.MANAGE
        guarded = {403: ("WRONG_PASSWORD",), 429: ("RATE_LIMITED",)}
        return Group(
            "Account",
            "Start with `GET /api/account`: what is connected, what works, and the cursor to poll from.",
            (
                Operation(
                    "GET",
                    "/api/account",
                    "What this gateway can do for you",
                    self.overview,
                    read,
                    reply=AccountWire,
                ),
                Operation(
                    "PATCH",
                    "/api/profile",
                    "Rename the account",
                    self.rename,
                    manage,
                    body=ProfileBody,
                    reply=ProfileWire,
                ),
                Operation(
                    "POST",
                    "/api/change-password",
                    "Change the password",
                    self.change_password,
                    manage,
                    body=ChangePasswordBody,
                    reply=OkWire,
                    errors=guarded,
                    notes="Ends every browser session.",
                ),
                Operation(
                    "POST",
                    "/api/change-email",
                    "Change the e-mail address",
                    self.change_email,
                    manage,
                    body=ChangeEmailBody,
                    reply=OkWire,
                    errors={**guarded, 501: ("NOT_AVAILABLE",)},
                    notes="The new address must be proved by a mail, which this gateway cannot send yet.",
                ),
                Operation(
                    "DELETE",
                    "/api/account",
                    "Erase the account and all its data",
                    self.delete,
                    manage,
                    body=DeleteAccountBody,
                    reply=OkWire,
                    errors=guarded,
                ),
                Operation(
                    "GET", "/api/export", "All data of the account as JSON", self.export, manage, reply=Wire
                ),
                Operation("GET", "/api/usage", "What was used; informational", self.usage, read, reply=Wire),
            ),
        )
