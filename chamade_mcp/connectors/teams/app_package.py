"""What people install in Teams to write to a bot: a zip of a manifest and two icons.

https://learn.microsoft.com/microsoft-365/extensibility/schema/
"""

import io
import json
import zipfile
from importlib.resources import files
from typing import Any, Final

SCHEMA: Final = "1.19"
VERSION: Final = "1.0.0"
"""Of the manifest: to be raised with every change to it, or Teams does not update what is installed."""
_NAMES: Final = {30: "short", 100: "full"}
_ICONS: Final = ("color.png", "outline.png")
_BEGINNING: Final = (1980, 1, 1, 0, 0, 0)
"""A time of its own would make each package another."""


def manifest_of(app_id: str, name: str, public_url: str, *, has_files: bool) -> dict[str, Any]:
    called = " ".join(name.split()) or "Agent"
    return {
        "$schema": f"https://developer.microsoft.com/json-schemas/teams/v{SCHEMA}/MicrosoftTeams.schema.json",
        "manifestVersion": SCHEMA,
        "version": VERSION,
        "id": app_id,
        "developer": {
            "name": "Chamade",
            "websiteUrl": public_url,
            "privacyUrl": public_url,
            "termsOfUseUrl": public_url,
        },
        "name": {kind: called[:most] for most, kind in _NAMES.items()},
        "description": {
            "short": "Write with an AI agent.",
            "full": "Write with an AI agent in a chat, a group chat or a channel, by way of a gateway that "
            "somebody runs for it. What you write to the app is passed on to the agent.",
        },
        "icons": {"color": _ICONS[0], "outline": _ICONS[1]},
        "accentColor": "#D03E26",
        "bots": [
            {
                "botId": app_id,
                "scopes": ["personal", "team", "groupChat"],
                "supportsFiles": has_files,
                "isNotificationOnly": False,
            }
        ],
        "permissions": ["identity", "messageTeamMembers"],
        "validDomains": [],
    }


def package_of(app_id: str, name: str, public_url: str, *, has_files: bool) -> bytes:
    """The zip; the same for the same."""
    manifest = json.dumps(manifest_of(app_id, name, public_url, has_files=has_files), indent=2)
    contents = {"manifest.json": manifest.encode()} | {icon: _icon(icon) for icon in _ICONS}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as package:
        for file, body in contents.items():
            package.writestr(zipfile.ZipInfo(file, _BEGINNING), body)
    return made.getvalue()


def _icon(name: str) -> bytes:
    return files("chamade_mcp.connectors.teams").joinpath(name).read_bytes()
