"""The static files, kept in memory and served under an address that changes with their content.

The version is one for all of them and stands in the path, so that a module's relative ``import`` and a
worklet's ``new URL(..., import.meta.url)`` stay within one version without any rewriting.
"""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

STATIC = Path(__file__).parent / "static"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    media_type: str
    body: bytes
    compressed: bytes | None
    """The body with gzip, where that is smaller."""


class Assets:
    def __init__(self, files: dict[str, Asset], version: str) -> None:
        self._files = files
        self.version = version

    @classmethod
    def load(cls, root: Path = STATIC) -> Self:
        """Reads every file below `root`; raises `ValueError` for a type without a media type."""
        files: dict[str, Asset] = {}
        digest = hashlib.sha256()
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            name = path.relative_to(root).as_posix()
            if path.suffix not in MEDIA_TYPES:
                raise ValueError(
                    f"{name}: no media type is known for {path.suffix or 'a file without suffix'}"
                )
            body = path.read_bytes()
            digest.update(f"{name}\0{len(body)}\0".encode() + body)
            packed = gzip.compress(body, mtime=0)
            files[name] = Asset(MEDIA_TYPES[path.suffix], body, packed if len(packed) < len(body) else None)
        return cls(files, digest.hexdigest()[:12])

    def path(self, name: str) -> str:
        """Where the page finds `name`; raises `KeyError` when there is no such file."""
        if name not in self._files:
            raise KeyError(name)
        return f"/static/{self.version}/{name}"

    def route(self) -> Route:
        return Route("/static/{version}/{name:path}", self._serve, name="static")

    async def _serve(self, request: Request) -> Response:
        asset = self._files.get(request.path_params["name"])
        if asset is None:
            return Response("Not found", 404, media_type="text/plain")
        # A page from before an upgrade asks for the version it knows. It gets the file of today, uncached.
        current = request.path_params["version"] == self.version
        headers = {
            "Cache-Control": FOREVER if current else "no-cache",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Vary": "Accept-Encoding",
        }
        if asset.compressed and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(
                asset.compressed, headers=headers | {"Content-Encoding": "gzip"}, media_type=asset.media_type
            )
        return Response(asset.body, headers=headers, media_type=asset.media_type)
