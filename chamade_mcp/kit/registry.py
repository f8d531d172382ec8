"""Which platforms there are: the folders below ``connectors/`` and the entry points of other packages."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from types import MappingProxyType

from chamade_mcp.kit.connector import Connector
from chamade_mcp.kit.manifest import Manifest, read_manifest
from chamade_mcp.model.ids import Platform

ENTRY_POINT_GROUP = "chamade_mcp.connectors"


@dataclass(frozen=True, slots=True)
class Registry:
    manifests: Mapping[Platform, Manifest]
    connectors: Mapping[Platform, Connector]
    """Only those that this build can run; a manifest alone describes a platform."""


def discover() -> Registry:
    """Reads every folder once. A broken manifest raises `ValueError`: better at start than in a call.

    Another package may supply the connector of a platform that is only described here.
    """
    manifests: dict[Platform, Manifest] = {}
    connectors: dict[Platform, Connector] = {}
    root = files("chamade_mcp.connectors")
    for folder in sorted(root.iterdir(), key=lambda f: f.name):
        if not folder.is_dir() or not folder.joinpath("manifest.toml").is_file():
            continue
        manifest = read_manifest(folder)
        manifests[manifest.platform] = manifest
        if manifest.available:
            module = import_module(f"chamade_mcp.connectors.{folder.name}.connector")
            connectors[manifest.platform] = module.connector
    for point in entry_points(group=ENTRY_POINT_GROUP):
        connector: Connector = point.load()
        platform = connector.manifest.platform
        if platform in connectors:
            raise ValueError(f"entry point {point.name!r}: there is a connector for {platform!r} already")
        manifests[platform] = connector.manifest
        connectors[platform] = connector
    return Registry(MappingProxyType(manifests), MappingProxyType(connectors))
