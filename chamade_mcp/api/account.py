"""The account itself (CONTRACT sections 1.4 and 6.1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from chamade_mcp.api.fields import Body, Email, Line, NewPassword, Password, Wire
from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.core.accounts import Accounts
from chamade_mcp.core.addresses import Addresses
from chamade_mcp.core.overview import Overview
from chamade_mcp.model.access import Permission
from chamade_mcp.model.capabilities import MessageFeature


class ProfileBody(Body):
    name: Line


class ChangePasswordBody(Body):
    current_password: Password
    new_password: NewPassword


_CONFIRMED = "May be left out in a browser in which the person has shown who they are: `POST /api/confirm`"


class ChangeEmailBody(Body):
    new_email: Email
    password: Annotated[Password | None, Field(description=_CONFIRMED)] = None


class DeleteAccountBody(Body):
    password: Annotated[
        Password | None,
        Field(description=f"Of the account, so that no stray key can erase it. {_CONFIRMED}"),
    ] = None


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
    owner: Annotated[bool, Field(description="Of the gateway: invites others")]
    created_at: str


class OkWire(Wire):
    status: str


class SentWire(OkWire):
    link: Annotated[
        str | None,
        Field(description="What was sent, on a gateway that is on this machine alone and sends no mail"),
    ]


_OK: Mapping[str, object] = {"status": "ok"}


@dataclass(frozen=True, slots=True)
class AccountGroup:
    accounts: Accounts
    addresses: Addresses
    about: Overview

    async def overview(self, asked: Asked[None, None]) -> Answer:
        return await self.about.account(asked.principal)

    async def profile(self, asked: Asked[None, None]) -> Answer:
        return await self.accounts.profile(asked.principal)

    async def rename(self, asked: Asked[ProfileBody, None]) -> Answer:
        return await self.accounts.rename(asked.principal, asked.body.name)

    async def change_password(self, asked: Asked[ChangePasswordBody, None]) -> Answer:
        body = asked.body
        await self.addresses.change_password(asked.principal, body.current_password, body.new_password)
        return _OK

    async def change_email(self, asked: Asked[ChangeEmailBody, None]) -> Answer:
        body = asked.body
        link = await self.addresses.change(asked.principal, body.new_email, body.password)
        return {**_OK, "link": link}

    async def verify_email(self, asked: Asked[None, None]) -> Answer:
        return {**_OK, "link": await self.addresses.prove(asked.principal)}

    async def delete(self, asked: Asked[DeleteAccountBody, None]) -> Answer:
        await self.accounts.delete(asked.principal, asked.body.password)
        return _OK

    async def export(self, asked: Asked[None, None]) -> Answer:
        return await self.about.export(asked.principal)

    def group(self) -> Group:
        read, manage = Permission.READ, Permission.MANAGE
        guarded = {403: ("WRONG_PASSWORD", "CONFIRMATION_REQUIRED"), 429: ("RATE_LIMITED",)}
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
                    "GET", "/api/profile", "Whose account it is", self.profile, manage, reply=ProfileWire
                ),
                Operation(
                    "PATCH",
                    "/api/profile",
                    "Rename the account",
                    self.rename,
                    manage,
                    every_agent=True,
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
                    errors={403: ("WRONG_PASSWORD",), 429: ("RATE_LIMITED",)},
                    notes="Signs the account out in every browser but the one that asks.",
                ),
                Operation(
                    "POST",
                    "/api/change-email",
                    "Change the e-mail address",
                    self.change_email,
                    manage,
                    body=ChangeEmailBody,
                    reply=SentWire,
                    errors=guarded,
                    notes="A link goes to the new address, and behind it the address becomes the account's; "
                    "the old one is told. An address that another account has is answered alike.",
                ),
                Operation(
                    "POST",
                    "/api/verify-email",
                    "Send the link again that proves the e-mail address",
                    self.verify_email,
                    manage,
                    reply=SentWire,
                    errors={409: ("EMAIL_VERIFIED",), 429: ("RATE_LIMITED",)},
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
                    "GET",
                    "/api/export",
                    "All data of the account as JSON",
                    self.export,
                    manage,
                    every_agent=True,
                    reply=Wire,
                ),
            ),
        )
