"""Which platforms there are: the folders below ``connectors/`` and the entry points of other packages."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType

from chamade_mcp.kit.connector import Connector
from chamade_mcp.kit.manifest import FILES_ENABLE, Manifest, described
from chamade_mcp.kit.oauth import BY_OAUTH, SignsIn
from chamade_mcp.model.capabilities import Capability
from chamade_mcp.model.ids import Platform

ENTRY_POINT_GROUP = "chamade_mcp.connectors"


@dataclass(frozen=True, slots=True)
class Registry:
    manifests: Mapping[Platform, Manifest]
    connectors: Mapping[Platform, Connector]
    """Only those that this build can run; a manifest alone describes a platform."""
    settings: Mapping[Platform, Mapping[str, str]] = field(
        default_factory=dict[Platform, Mapping[str, str]], repr=False
    )
    """What who runs the gateway has set, where that is not what a manifest has."""

    def configured(self, settings: Mapping[Platform, Mapping[str, str]]) -> "Registry":
        """With what who runs the gateway has set: a platform whose files they let through has files."""
        manifests = {
            name: _with_files(manifest)
            if manifest.gateway.gates_files and settings.get(name, {}).get(FILES_ENABLE)
            else manifest
            for name, manifest in self.manifests.items()
        }
        return replace(self, manifests=MappingProxyType(manifests), settings=settings)

    @property
    def shared(self) -> frozenset[Platform]:
        """Where the gateway runs a bot for everybody."""
        return frozenset(
            name
            for name, connector in self.connectors.items()
            if (needed := connector.manifest.gateway.shared)
            and all(self._gateway(name).get(n) for n in needed)
        )

    @property
    def sign_ins(self) -> frozenset[Platform]:
        """Where people can connect by agreeing at the platform."""
        return frozenset(
            name
            for name, connector in self.connectors.items()
            if isinstance(connector, SignsIn)
            and (oauth := connector.manifest.oauth) is not None
            and all(self._gateway(name).get(n) for n in oauth.needs)
        )

    def link_settings(self, platform: Platform, own: Mapping[str, str] | None) -> Mapping[str, str]:
        """What a link of the platform is opened with: that of a bot with `own` settings, or of the shared
        one."""
        told = self._gateway(platform)
        if own is None:
            return told
        manifest = self.manifests[platform]
        kept_back = set(manifest.gateway.shared)
        if manifest.oauth is not None and BY_OAUTH not in own:
            kept_back |= set(manifest.oauth.needs)
        return {**{name: value for name, value in told.items() if name not in kept_back}, **own}

    def _gateway(self, platform: Platform) -> dict[str, str]:
        return {**self.manifests[platform].gateway.defaults, **self.settings.get(platform, {})}


def discover() -> Registry:
    """Reads every folder once. A broken manifest raises `ValueError`: better at start than in a call.

    Another package may supply the connector of a platform that is only described here.
    """
    manifests = dict(described())
    connectors: dict[Platform, Connector] = {}
    for name, manifest in manifests.items():
        if manifest.available:
            module = import_module(f"chamade_mcp.connectors.{name}.connector")
            connectors[name] = module.connector
    for point in entry_points(group=ENTRY_POINT_GROUP):
        connector: Connector = point.load()
        platform = connector.manifest.platform
        if platform in connectors:
            raise ValueError(f"entry point {point.name!r}: there is a connector for {platform!r} already")
        manifests[platform] = connector.manifest
        connectors[platform] = connector
    return Registry(MappingProxyType(manifests), MappingProxyType(connectors))


def _with_files(manifest: Manifest) -> Manifest:
    return replace(manifest, capabilities=manifest.capabilities | {Capability.FILES}, files=True)
