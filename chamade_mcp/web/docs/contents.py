"""Which documents are served below ``/docs``, in which order: a new one is an entry here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Entry:
    source: str
    """The file's path in the repository."""
    slug: str
    """Its address below ``/docs``."""
    label: str
    """Its name in the navigation; the page's title is its first heading."""


@dataclass(frozen=True, slots=True)
class Chapter:
    title: str
    entries: Sequence[Entry] = ()


PLATFORMS: Final = Chapter("Platforms")
"""Filled with a page for each platform that this gateway can run, from its connector's README."""
API: Final = Chapter("API reference")
"""Filled from the OpenAPI document."""

CHAPTERS: Final[Sequence[Chapter]] = (
    Chapter(
        "Start",
        (
            Entry("docs/README.md", "", "Overview"),
            Entry("docs/first-agent.md", "first-agent", "Your first agent"),
            Entry("docs/clients.md", "clients", "Set up a client"),
            Entry("docs/polling.md", "polling", "Agents that poll"),
        ),
    ),
    Chapter(
        "Guides",
        (
            Entry("docs/mcp.md", "mcp", "MCP: tools and push"),
            Entry("docs/inbox.md", "inbox", "Messages"),
            Entry("docs/calls.md", "calls", "Calls and sound"),
            Entry("docs/files.md", "files", "Files"),
            Entry("docs/recording.md", "recording", "Recording"),
            Entry("docs/webhooks.md", "webhooks", "Webhooks"),
            Entry("docs/connections.md", "connections", "Connections"),
            Entry("docs/agents.md", "agents", "Several agents"),
            Entry("docs/access.md", "access", "Who may write"),
            Entry("docs/usage.md", "usage", "Usage and limits"),
            Entry("docs/client.md", "client", "Python client"),
            Entry("shim/README.md", "shim", "stdio shims"),
            Entry("examples/README.md", "examples", "Examples"),
        ),
    ),
    PLATFORMS,
    Chapter(
        "Operating",
        (
            Entry("deploy/README.md", "running", "Running for others"),
            Entry("docs/accounts.md", "accounts", "Accounts"),
            Entry("docs/settings.md", "settings", "Settings"),
            Entry("docs/backup.md", "backup", "Backup and restore"),
            Entry("docs/metrics.md", "metrics", "Metrics"),
        ),
    ),
    Chapter(
        "Reference",
        (
            Entry("docs/call-websocket.md", "call-websocket", "Call WebSocket"),
            Entry("docs/errors.md", "errors", "Errors and fixes"),
        ),
    ),
    API,
)

DEVELOPERS: Final = frozenset({"docs/architecture.md", "docs/connectors.md", "docs/performance.md"})
"""For those who work on the gateway; with ``docs/adr/`` the only documents that are not served."""

ATTACHED: Final = ("examples/", "deploy/")
"""Folders whose files are served as they are, where a document points at one."""
FILES: Final = (".py", ".mjs", ".conf", ".service", "/Caddyfile", "/Dockerfile")
"""How the names of such files end."""
