"""What the gateway knows of platforms: manifests, and which are connected for whom."""

from chamade_mcp.core.guides import way_to_wire
from chamade_mcp.core.operators import Operator
from chamade_mcp.core.roster import Listed, Roster
from chamade_mcp.kit.connection import AddsToServers, HandsOver, OwnBots
from chamade_mcp.kit.guide import DEFAULTS, Way, WayKind
from chamade_mcp.kit.manifest import Manifest, capability_list, feature_list
from chamade_mcp.kit.registry import Registry
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.connections import ConnectionState
from chamade_mcp.model.errors import (
    Action,
    FieldError,
    InvalidRequest,
    NotAvailable,
    NotFound,
    ValidationFailed,
)
from chamade_mcp.model.ids import ConnectionId, Platform

DEFAULT_AGENT_NAME = "AI Agent"


class Platforms:
    def __init__(self, registry: Registry, roster: Roster) -> None:
        self._registry = registry
        self._roster = roster
        self._shared = registry.shared
        self.sign_ins = registry.sign_ins
        """Where people can connect by agreeing at the platform."""
        self.link_settings = registry.link_settings
        self._identities: dict[str, dict[str, object]] = {
            str(p): {"agent": DEFAULT_AGENT_NAME, "operator": None}
            for p, m in registry.manifests.items()
            if m.embedded and m.inbox
        }
        self._server_links = {
            f"{p}_invite_url": connector.server_link(registry.link_settings(p, None))
            for p, connector in registry.connectors.items()
            if p in registry.shared and isinstance(connector, AddsToServers)
        }
        self._states = {str(p): self._state(m) for p, m in registry.manifests.items()}

    @property
    def manifests(self) -> list[Manifest]:
        return list(self._registry.manifests.values())

    def require(self, platform: str) -> Manifest:
        """The manifest of `platform`; an unknown name is the caller's mistake."""
        manifest = self._registry.manifests.get(Platform(platform))
        if manifest is None:
            names = ", ".join(sorted(self._registry.manifests))
            raise ValidationFailed([FieldError("platform", f"unknown platform; one of: {names}")])
        return manifest

    def require_connected(self, manifest: Manifest, scope: Scope, meeting_url: str | None) -> None:
        """Raises the contract's answer when the agent cannot make a call on this platform."""
        if manifest.embedded or self._roster.of(scope, manifest.platform):
            return
        if manifest.platform in self._shared and manifest.available:
            return
        if manifest.needs_meeting_url and meeting_url and not manifest.available:
            raise self.missing(manifest)
        refusal = manifest.unconnected
        by_url = manifest.needs_meeting_url and not meeting_url
        raise InvalidRequest(
            refusal.detail,
            code=refusal.code,
            # A URL the agent may have; a bot, a trunk or a sign-in only a person can bring.
            action=Action.FIX_ARGUMENT if by_url else Action.ASK_HUMAN,
            platform=manifest.platform,
        )

    def has_shared_bot(self, platform: Platform) -> bool:
        return platform in self._shared

    def missing(self, manifest: Manifest) -> NotAvailable:
        return NotAvailable(f"This gateway has no {manifest.title} connector yet", platform=manifest.platform)

    def link_of(self, scope: Scope, platform: Platform) -> ConnectionId:
        """Which of the platform's links the agent uses where no conversation says so."""
        return self._roster.link_of(scope, platform)

    def states(self, scope: Scope) -> dict[str, dict[str, object]]:
        """`platforms` of GET /api/account."""
        mine: dict[str, list[Listed]] = {}
        for listed in self._roster.of(scope):
            mine.setdefault(listed.platform, []).append(listed)
        if not mine and not self._shared:
            return self._states
        return {
            name: state | {"status": self._status(Platform(name), mine.get(name, []), str(state["status"]))}
            for name, state in self._states.items()
        }

    def identities(self, scope: Scope, operator: Operator | None) -> dict[str, dict[str, object]]:
        """Who the agent is on each connected platform, and who its operator, where that was chosen.

        Of several bots on one platform the newest.
        """
        found = dict(self._identities)
        for listed in reversed(self._roster.of(scope)):
            found[listed.platform] = {"agent": listed.identity.name, "operator": None}
        if operator is not None:
            platform = str(operator.whom.platform)
            own = found.get(platform, {"agent": DEFAULT_AGENT_NAME})
            found[platform] = {**own, "operator": operator.name}
        return found

    def overview(self, principal: Principal) -> dict[str, object]:
        """Body of GET /api/platforms. Embedded platforms are connected for everybody."""
        states = self.states(principal.scope)
        return {
            "platforms": [self._told(m, states) for m in self._registry.manifests.values()],
            "connections": [
                {"id": f"embedded:{m.platform}", "platform": m.platform, "status": "ok", "embedded": True}
                for m in self._registry.manifests.values()
                if m.embedded
            ]
            + [listed.to_wire() for listed in self._roster.of(principal.scope)],
            **self._server_links,
        }

    def guided(self, principal: Principal, platform: str, public_url: str) -> dict[str, object]:
        """Body of GET /api/platforms/{platform}. Raises `NotFound` for one that cannot be connected here."""
        manifest = self.runnable(platform)
        return {
            **self._told(manifest, self.states(principal.scope)),
            "invite_url": self._server_links.get(f"{platform}_invite_url"),
            "ways": [way_to_wire(manifest, way, public_url) for way in self.ways(manifest)],
            "connections": [
                listed.to_wire() for listed in self._roster.of(principal.scope, manifest.platform)
            ],
        }

    def connections(self, scope: Scope) -> list[Listed]:
        return self._roster.of(scope)

    def runnable(self, platform: str) -> Manifest:
        """Raises `NotFound`."""
        manifest = self._registry.manifests.get(Platform(platform))
        if manifest is None or not manifest.available:
            raise NotFound("Platform not found", code="PLATFORM_NOT_FOUND")
        return manifest

    def ways(self, manifest: Manifest) -> list[Way]:
        """How a person connects it, as far as this gateway is set up for that."""
        connector = self._registry.connectors.get(manifest.platform)
        open_here = {
            WayKind.OAUTH: manifest.platform in self.sign_ins,
            WayKind.CONNECT: isinstance(connector, HandsOver),
            WayKind.LINK: manifest.inbox and (manifest.embedded or manifest.platform in self._shared),
            WayKind.BOT: manifest.bot is not None and isinstance(connector, OwnBots),
        }
        return [way for way in manifest.guide or DEFAULTS if open_here[way.kind]]

    def provider(self, name: str) -> Manifest | None:
        """The platform that is connected by signing in at `name`."""
        return next((m for m in self.manifests if m.oauth is not None and m.oauth.provider == name), None)

    def _told(self, m: Manifest, states: dict[str, dict[str, object]]) -> dict[str, object]:
        return {
            "platform": m.platform,
            "title": m.title,
            "about": m.about,
            "available": m.available,
            "oauth_provider": self.provider_of(m),
            **states[m.platform],
        }

    def provider_of(self, manifest: Manifest) -> str | None:
        """Whom people can sign in at to connect it; None where they cannot."""
        if manifest.oauth is None or manifest.platform not in self.sign_ins:
            return None
        return manifest.oauth.provider

    def _status(self, platform: Platform, mine: list[Listed], unconnected: str) -> str:
        """The words of CONTRACT section 6.1."""
        states = {listed.state for listed in mine}
        if ConnectionState.OK in states or unconnected == "ok":
            return "ok"
        if ConnectionState.AUTH_NEEDED in states:
            return "the platform no longer accepts the authorisation: connect it again"
        if states:
            return "not reachable at the moment"
        if platform in self._shared:
            return "available (shared bot, user account not connected)"
        return unconnected

    @staticmethod
    def _state(manifest: Manifest) -> dict[str, object]:
        return {
            "status": manifest.status,
            "capabilities": capability_list(manifest.capabilities),
            "files": manifest.files,
            "messages": feature_list(manifest.messages),
        }
