"""Bring your own SIP trunk (CONTRACT sections 1.5 and 6.5). No connector serves it yet."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from chamade_mcp.api.account import OkWire
from chamade_mcp.api.fields import E164, Body, FromNumber, OptionalLine, Password, Secret, Wire
from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.core.platforms import Platforms
from chamade_mcp.model.access import Permission
from chamade_mcp.model.errors import NotFound

_HOST = r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$"


class TrunkBody(Body):
    sip_host: Annotated[str, StringConstraints(pattern=_HOST)]
    sip_port: Annotated[int, Field(ge=1, le=65535), FromNumber] = 5060
    sip_username: Secret
    sip_password: Password
    sip_realm: Annotated[Secret | None, Field(description="Many providers need it")] = None
    sip_caller_id: Annotated[Secret | None, Field(description="For outbound calls")] = None


class NumberBody(Body):
    number: Annotated[str, StringConstraints(pattern=E164)]
    label: OptionalLine = ""


class NumberSettingsBody(Body):
    auto_answer: bool


class TrunkWire(Wire):
    host: str
    port: int
    username: str
    realm: str | None
    caller_id: str | None


@dataclass(frozen=True, slots=True)
class SipGroup:
    platforms: Platforms

    async def connect(self, asked: Asked[TrunkBody, None]) -> Answer:
        del asked
        raise self.platforms.missing(self.platforms.require("sip"))

    async def trunk(self, asked: Asked[Any, None]) -> Answer:
        del asked
        raise NotFound("No SIP trunk configured", code="NO_SIP_TRUNK", platform="sip")

    def group(self) -> Group:
        manage = Permission.MANAGE
        none = {404: ("NO_SIP_TRUNK",)}
        return Group(
            "SIP trunk",
            "Phone calls over a trunk and numbers of your own.",
            (
                Operation(
                    "POST",
                    "/api/sip/trunk",
                    "Connect a trunk",
                    self.connect,
                    manage,
                    body=TrunkBody,
                    reply=TrunkWire,
                    errors={501: ("NOT_AVAILABLE",)},
                ),
                Operation(
                    "GET",
                    "/api/sip/trunk",
                    "The trunk, without its password",
                    self.trunk,
                    manage,
                    reply=TrunkWire,
                    errors=none,
                ),
                Operation(
                    "DELETE",
                    "/api/sip/trunk",
                    "Disconnect and release the numbers",
                    self.trunk,
                    manage,
                    reply=OkWire,
                    errors=none,
                ),
                Operation(
                    "POST",
                    "/api/sip/trunk/dids",
                    "Add a number",
                    self.trunk,
                    manage,
                    body=NumberBody,
                    reply=Wire,
                    errors=none,
                ),
                Operation(
                    "DELETE",
                    "/api/sip/trunk/dids/{did_id}",
                    "Remove a number",
                    self.trunk,
                    manage,
                    reply=OkWire,
                    errors=none,
                ),
                Operation(
                    "POST",
                    "/api/sip/trunk/dids/{did_id}/settings",
                    "Settings of a number",
                    self.trunk,
                    manage,
                    body=NumberSettingsBody,
                    reply=Wire,
                    errors=none,
                ),
            ),
        )
