"""What the gateway knows of platforms: manifests, and which are connected for whom."""

from chamade_mcp.core.operators import Operator
from chamade_mcp.kit.manifest import Manifest, capability_list, feature_list
from chamade_mcp.kit.registry import Registry
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import FieldError, InvalidRequest, NotAvailable, ValidationFailed
from chamade_mcp.model.ids import Platform

DEFAULT_AGENT_NAME = "AI Agent"


class Platforms:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._identities: dict[str, dict[str, object]] = {
            str(p): {"agent": DEFAULT_AGENT_NAME, "operator": None}
            for p, m in registry.manifests.items()
            if m.embedded and m.inbox
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

    def require_connected(self, manifest: Manifest, meeting_url: str | None) -> None:
        """Raises the contract's answer when a call cannot be made on this platform."""
        if manifest.available:
            return
        if manifest.needs_meeting_url and meeting_url:
            raise self.missing(manifest)
        raise InvalidRequest(
            manifest.unconnected.detail, code=manifest.unconnected.code, platform=manifest.platform
        )

    def missing(self, manifest: Manifest) -> NotAvailable:
        return NotAvailable(f"This gateway has no {manifest.title} connector yet", platform=manifest.platform)

    def states(self) -> dict[str, dict[str, object]]:
        """`platforms` of GET /api/account."""
        return self._states

    def identities(self, operator: Operator | None) -> dict[str, dict[str, object]]:
        """Who the agent is on each connected platform, and who its operator, where that was chosen."""
        if operator is None:
            return self._identities
        platform = str(operator.whom.platform)
        own = self._identities.get(platform, {"agent": DEFAULT_AGENT_NAME})
        return {**self._identities, platform: {**own, "operator": operator.name}}

    def overview(self, principal: Principal) -> dict[str, object]:
        """Body of GET /api/platforms. Embedded platforms are connected for everybody."""
        return {
            "platforms": [
                {
                    "platform": m.platform,
                    "title": m.title,
                    "available": m.available,
                    **self._states[m.platform],
                }
                for m in self._registry.manifests.values()
            ],
            "connections": [
                {"id": f"embedded:{m.platform}", "platform": m.platform, "status": "ok", "embedded": True}
                for m in self._registry.manifests.values()
                if m.embedded
            ],
        }

    @staticmethod
    def _state(manifest: Manifest) -> dict[str, object]:
        return {
            "status": manifest.status,
            "capabilities": capability_list(manifest.capabilities),
            "files": manifest.files,
            "messages": feature_list(manifest.messages),
        }
