"""A connector's `manifest.toml`: what the rest of the gateway knows of a platform, as data."""

import tomllib
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any

from chamade_mcp.model.capabilities import Capability
from chamade_mcp.model.ids import Platform


@dataclass(frozen=True, slots=True)
class Refusal:
    """The contract's answer to a call on a platform nobody has connected."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Manifest:
    platform: Platform
    title: str
    capabilities: frozenset[Capability]
    sample_rate_hz: int | None
    """Native rate of a room; None on a platform without voice."""
    text_limit: int | None
    """Characters per message; None where there is no chat."""
    available: bool
    """False: the platform is described, but this build has no connector for it."""
    embedded: bool
    """True: part of the gateway itself; always connected, for every account."""
    creates_rooms: bool
    files: bool
    inbox: bool
    """People can write direct messages on it."""
    unconnected: Refusal
    """Answer to a call while no connection is there; `meeting_url` names the rule below first."""
    needs_meeting_url: bool
    status: str
    """The words of `GET /api/account` while it is not connected."""


def _order() -> tuple[Capability, ...]:
    return tuple(Capability)


def capability_list(capabilities: frozenset[Capability]) -> list[str]:
    """In the contract's order, whatever the set's."""
    return [str(c) for c in _order() if c in capabilities]


def parse_manifest(text: str) -> Manifest:
    """Reads TOML; raises `ValueError` naming the field that is wrong."""
    raw: dict[str, Any] = tomllib.loads(text)
    known = {
        "platform", "title", "capabilities", "sample_rate_hz", "text_limit", "available", "embedded",
        "creates_rooms", "inbox", "needs_meeting_url", "unconnected", "status",
    }  # fmt: skip
    unknown = sorted(set(raw) - known)
    if unknown:
        raise ValueError(f"manifest: unknown field {unknown[0]!r}")
    try:
        capabilities = frozenset(Capability(c) for c in raw["capabilities"])
        refusal = raw.get("unconnected", {})
        return Manifest(
            platform=Platform(raw["platform"]),
            title=raw["title"],
            capabilities=capabilities,
            sample_rate_hz=raw.get("sample_rate_hz"),
            text_limit=raw.get("text_limit"),
            available=raw["available"],
            embedded=raw.get("embedded", False),
            creates_rooms=raw.get("creates_rooms", False),
            files=Capability.FILES in capabilities,
            inbox=raw.get("inbox", False),
            unconnected=Refusal(
                refusal.get("code", "PLATFORM_NOT_CONNECTED"),
                refusal.get("detail", f"{raw['title']} is not connected"),
            ),
            needs_meeting_url=raw.get("needs_meeting_url", True),
            status=raw.get("status", "not_configured"),
        )
    except KeyError as missing:
        raise ValueError(f"manifest: field {missing} is missing") from None


def read_manifest(folder: Traversable) -> Manifest:
    manifest = parse_manifest(folder.joinpath("manifest.toml").read_text(encoding="utf-8"))
    if manifest.platform != folder.name:
        raise ValueError(f"manifest: platform {manifest.platform!r} stands in folder {folder.name!r}")
    return manifest
