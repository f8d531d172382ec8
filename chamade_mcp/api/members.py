"""Who else gets an account on this gateway."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from chamade_mcp.api.account import OkWire
from chamade_mcp.api.fields import Body, Email, Wire
from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.core.joining import Joining
from chamade_mcp.model.access import Permission


class InvitationBody(Body):
    email: Email


class InvitationWire(Wire):
    id: str
    email: str
    created_at: str
    expires_at: str


class NewInvitationWire(InvitationWire):
    link: Annotated[
        str | None, Field(description="What to send them, told this once; null where a mail takes it")
    ]


class InvitationsWire(Wire):
    invitations: list[InvitationWire]


@dataclass(frozen=True, slots=True)
class MemberGroup:
    joining: Joining

    async def list(self, asked: Asked[None, None]) -> Answer:
        return {"invitations": await self.joining.invitations(asked.principal)}

    async def invite(self, asked: Asked[InvitationBody, None]) -> Answer:
        return await self.joining.invite(asked.principal, asked.body.email)

    async def withdraw(self, asked: Asked[None, None]) -> Answer:
        await self.joining.withdraw(asked.principal, asked.ids["invitation_id"])
        return {"status": "ok"}

    def group(self) -> Group:
        manage, path = Permission.MANAGE, "/api/account-invitations"
        return Group(
            "Accounts of others",
            "The owner of the gateway invites people, who then have accounts of their own.",
            (
                Operation(
                    "GET",
                    path,
                    "Invitations that are open",
                    self.list,
                    manage,
                    every_agent=True,
                    reply=InvitationsWire,
                ),
                Operation(
                    "POST",
                    path,
                    "Invite somebody",
                    self.invite,
                    manage,
                    every_agent=True,
                    body=InvitationBody,
                    reply=NewInvitationWire,
                    status=201,
                    errors={
                        403: ("NOT_OWNER",),
                        409: ("EMAIL_TAKEN",),
                        429: ("INVITATION_LIMIT_REACHED",),
                    },
                    notes="The link works once, for a week. Inviting an address again replaces the link.",
                ),
                Operation(
                    "DELETE",
                    f"{path}/{{invitation_id}}",
                    "Withdraw an invitation",
                    self.withdraw,
                    manage,
                    every_agent=True,
                    reply=OkWire,
                    errors={404: ("INVITATION_NOT_FOUND",)},
                ),
            ),
        )
