"""What an agent's side installs to reach this gateway: the bundle for Claude Desktop, and the stdio shim.

Neither holds a key, so both are anybody's.
"""

import io
import json
import zipfile
from functools import cached_property
from typing import Final

from chamade_mcp.kit.connection import Package
from chamade_mcp.web.docs.shelf import source_of

SHIM: Final = "chamade-mcp-shim.mjs"
_CONTENT: Final = {
    f"server/{SHIM}": f"shim/node/{SHIM}",
    "server/package.json": "shim/node/package.json",
    "LICENSE": "shim/node/LICENSE",
}
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


class ClientFiles:
    """Each made once, when somebody first asks for it."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url

    @cached_property
    def bundle(self) -> Package:
        return Package("chamade.mcpb", "application/octet-stream", bundle(self._public_url))

    @cached_property
    def shim(self) -> Package:
        return Package(SHIM, "text/javascript; charset=utf-8", _source(_CONTENT[f"server/{SHIM}"]))


def bundle(url: str) -> bytes:
    """A MCPB bundle: the Node shim, with `url` as the gateway that the person may still change. The same
    input gives the same bytes: no times, no compression, a fixed order."""
    manifest = json.loads(_source("shim/mcpb/manifest.json"))
    manifest["user_config"]["url"]["default"] = url
    content = {"manifest.json": json.dumps(manifest, ensure_ascii=False, indent=2).encode() + b"\n"}
    content |= {name: _source(path) for name, path in _CONTENT.items()}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, data in content.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    return packed.getvalue()


def _source(path: str) -> bytes:
    text = source_of(path)
    if text is None:
        raise FileNotFoundError(f"{path} is not part of this installation")
    return text.encode()
