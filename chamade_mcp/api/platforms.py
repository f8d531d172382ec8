"""Connecting platforms: bots, sign-ins, links for people (CONTRACT section 1.5)."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from chamade_mcp.api.account import OkWire
from chamade_mcp.api.fields import Body, Line, PlatformName, WebUrl, Wire
from chamade_mcp.api.operation import Answer, AnyOperation, Asked, Group, Operation
from chamade_mcp.api.qr import qr_svg
from chamade_mcp.api.routing import PATH_IDS
from chamade_mcp.core.handovers import Handovers
from chamade_mcp.core.invitations import Invitations
from chamade_mcp.core.linking import Linking
from chamade_mcp.core.platforms import Platforms
from chamade_mcp.kit.connector import InviteKind
from chamade_mcp.model.access import Permission
from chamade_mcp.model.errors import NotAvailable
from chamade_mcp.model.ids import Platform

_PROVIDERS = {
    "microsoft": "Microsoft", "google": "Google", "discord": "Discord", "slack": "Slack", "zoom": "Zoom"
}  # fmt: skip


class InviteBody(Body):
    platform: PlatformName = "web"
    kind: Annotated[
        InviteKind, Field(description="`chat`: write to the agent; `room`: a call that the agent can join")
    ] = InviteKind.CHAT
    agent_name: Line = "AI Agent"
    qr: Annotated[bool, Field(description="Whether `qr` of the answer is wanted")] = False


class PlatformsWire(Wire):
    platforms: list[dict[str, object]]
    connections: list[dict[str, object]]
    discord_invite_url: Annotated[str | None, Field(description="Adds the shared bot to a server")] = None


class FieldWire(Wire):
    name: Annotated[str, Field(description="As `POST /api/bot-tokens` takes it")]
    label: str
    help: str
    example: str
    kind: Annotated[str, Field(description="`text`, `secret` or `choice`")]
    choices: Annotated[dict[str, str] | None, Field(description="Values and what they mean")]
    pattern: Annotated[str | None, Field(description="A regular expression for the whole value")]
    required: bool


class WayWire(Wire):
    kind: Annotated[
        str,
        Field(
            description="`bot`: `POST /api/bot-tokens`; `oauth`: `POST /api/oauth/start/{provider}`;"
            " `connect`: `POST /api/platforms/{platform}/connect`; `link`: `POST /api/invite-link`"
        ),
    ]
    title: str
    needs_public_url: Annotated[bool, Field(description="The platform has to reach this gateway over https")]
    text: Annotated[str, Field(description="The steps as Markdown, with this gateway's addresses")]
    fields: Annotated[list[FieldWire], Field(description="What a person is asked for")]


class PlatformGuideWire(Wire):
    platform: str
    title: str
    about: str
    status: str
    oauth_provider: str | None
    invite_url: Annotated[str | None, Field(description="Adds the shared bot to a server")]
    ways: Annotated[list[WayWire], Field(description="How a person connects it, as far as it is set up here")]
    connections: list[dict[str, object]]


class InviteWire(Wire):
    id: Annotated[str | None, Field(description="For revoking; null for a room that its platform keeps")]
    platform: str
    kind: InviteKind
    url: Annotated[str, Field(description="Told this once: whoever opens it can write, or is in the room")]
    agent_name: str
    expires_at: str | None
    qr: Annotated[str | None, Field(description="The URL as a QR code, an SVG document")] = None


class LinkWire(Wire):
    id: str
    platform: str
    kind: str
    title: str
    created_at: str
    expires_at: str


class LinksWire(Wire):
    links: list[LinkWire]


class SignInWire(Wire):
    auth_url: Annotated[
        str, Field(description="To be opened in the owner's browser, once, within ten minutes")
    ]


class InstallWire(Wire):
    url: Annotated[str, Field(description="As `auth_url` of `POST /api/oauth/start/slack`")]


class ConnectBody(Body):
    url: Annotated[WebUrl, Field(description="Where the platform is, as https://cloud.example.org")]


class ConnectWire(Wire):
    url: Annotated[str, Field(description="To be opened in the owner's browser, once, within ten minutes")]


@dataclass(frozen=True, slots=True)
class PlatformGroup:
    platforms: Platforms
    invitations: Invitations
    handovers: Handovers
    linking: Linking
    public_url: str

    async def overview(self, asked: Asked[None, None]) -> Answer:
        return self.platforms.overview(asked.principal)

    async def guided(self, asked: Asked[None, None]) -> Answer:
        return self.platforms.guided(asked.principal, asked.ids["platform"], self.public_url)

    async def start_oauth(self, asked: Asked[None, None]) -> Answer:
        provider = asked.ids["provider"]
        title = _PROVIDERS.get(provider)
        if title is None:
            raise PATH_IDS["provider"]()
        manifest = self.platforms.provider(provider)
        if manifest is None:
            raise NotAvailable(f"This gateway has no {title} sign-in yet")
        return {"auth_url": self.linking.begin(asked.principal, manifest.platform)}

    async def connect_telegram(self, asked: Asked[None, None]) -> Answer:
        invited = await self.invitations.invite(
            asked.principal, "telegram", asked.principal.scope.agent, InviteKind.CHAT
        )
        return {"deeplink": invited["url"]}

    async def connect(self, asked: Asked[ConnectBody, None]) -> Answer:
        platform, told = asked.ids["platform"], {"url": asked.body.url}
        if all(platform != manifest.platform for manifest in self.platforms.manifests):
            raise PATH_IDS["platform"]()
        return {"url": self.handovers.begin(asked.principal, platform, told)}

    async def install_slack(self, asked: Asked[None, None]) -> Answer:
        return {"url": self.linking.begin(asked.principal, Platform("slack"))}

    async def invite(self, asked: Asked[InviteBody, None]) -> Answer:
        made = await self.invitations.invite(
            asked.principal, asked.body.platform, asked.body.agent_name, asked.body.kind
        )
        return {**made, "qr": qr_svg(str(made["url"]))} if asked.body.qr else made

    async def list_links(self, asked: Asked[None, None]) -> Answer:
        return {"links": await self.invitations.list(asked.principal.scope)}

    async def revoke_link(self, asked: Asked[None, None]) -> Answer:
        await self.invitations.revoke(asked.principal.bounds, asked.ids["link_id"])
        return {"status": "ok"}

    def group(self) -> Group:
        return Group(
            "Platforms",
            "Where the agent can be reached, and links that let a person in without an account.",
            (*self._connecting(), *self._invitation_links()),
        )

    def _connecting(self) -> tuple[AnyOperation, ...]:
        read, manage = Permission.READ, Permission.MANAGE
        later = {501: ("NOT_AVAILABLE",)}
        return (
            Operation(
                "GET", "/api/platforms", "Platforms and connections", self.overview, read, reply=PlatformsWire
            ),
            Operation(
                "GET",
                "/api/platforms/{platform}",
                "How one platform is connected",
                self.guided,
                read,
                reply=PlatformGuideWire,
                errors={404: ("PLATFORM_NOT_FOUND",)},
                notes="What stands beside `bot_token` in a way of the kind `bot` goes into `settings` of"
                " `POST /api/bot-tokens`.",
            ),
            Operation(
                "POST",
                "/api/oauth/start/{provider}",
                "Sign in at a provider",
                self.start_oauth,
                manage,
                reply=SignInWire,
                errors={403: ("EMAIL_NOT_VERIFIED",), 404: ("PROVIDER_NOT_FOUND",), **later},
                notes="Whoever agrees there is paired with the agent by that. The browser has to be signed in"
                " to this account when it comes back, and shows then what came of it on the dashboard."
                " `oauth_provider` of `GET /api/platforms` tells where it is possible.",
            ),
            Operation(
                "POST",
                "/api/platforms/{platform}/connect",
                "Let a platform of one's own hand over a bot",
                self.connect,
                manage,
                body=ConnectBody,
                reply=ConnectWire,
                errors={403: ("EMAIL_NOT_VERIFIED",), 404: ("PLATFORM_NOT_FOUND",), **later},
                notes="For Nextcloud Talk: whoever opens the URL is asked there, and the addon then tells the"
                " gateway of the bot it has made.",
            ),
            Operation(
                "POST",
                "/api/telegram/connect",
                "Link a Telegram account",
                self.connect_telegram,
                manage,
                reply=Wire,
                errors={400: ("NO_BOT_REGISTERED",), **later, 503: ("UNAVAILABLE", "RECONNECT_NEEDED")},
            ),
            Operation(
                "POST",
                "/api/slack/install",
                "Install the Slack app",
                self.install_slack,
                manage,
                reply=InstallWire,
                errors={403: ("EMAIL_NOT_VERIFIED",), **later},
                notes="The same as `POST /api/oauth/start/slack`.",
            ),
        )

    def _invitation_links(self) -> tuple[AnyOperation, ...]:
        manage = Permission.MANAGE
        return (
            Operation(
                "POST",
                "/api/invite-link",
                "Make a link that lets people write to the agent, or meet it in a room",
                self.invite,
                manage,
                body=InviteBody,
                body_optional=True,
                reply=InviteWire,
                errors={
                    400: ("CAPABILITY_MISSING", "NO_BOT_REGISTERED", "PLATFORM_NOT_CONNECTED"),
                    501: ("NOT_AVAILABLE",),
                    503: ("UNAVAILABLE", "RECONNECT_NEEDED"),
                },
                notes="An agent joins a room by `POST /api/call` with the URL as `meeting_url`.",
            ),
            Operation(
                "GET",
                "/api/links",
                "Links that still open something",
                self.list_links,
                manage,
                reply=LinksWire,
                notes="Never the links themselves: they are told once.",
            ),
            Operation(
                "DELETE",
                "/api/links/{link_id}",
                "Revoke a link",
                self.revoke_link,
                manage,
                reply=OkWire,
                errors={404: ("LINK_NOT_FOUND",)},
                notes="Closes it at once for everybody who is in by it.",
            ),
        )
