"""``/docs`` and all below, ``/llms.txt`` and ``/llms-full.txt``: open to whoever reaches the gateway.

A page is made at its first request and kept. ``/docs/inbox.md`` is ``/docs/inbox`` as Markdown, and so is
``/docs/inbox`` to whoever would rather have that.
"""

import asyncio
import gzip
import hashlib
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from chamade_mcp.kit.manifest import Manifest
from chamade_mcp.model.errors import NotFound
from chamade_mcp.web.assets import Assets
from chamade_mcp.web.docs.contents import ATTACHED, FILES
from chamade_mcp.web.docs.layout import Layout
from chamade_mcp.web.docs.library import Library, address, twin
from chamade_mcp.web.docs.members import Schema
from chamade_mcp.web.docs.negotiation import prefers
from chamade_mcp.web.docs.shelf import filled, source_of
from chamade_mcp.web.views import HEADERS, Views

HTML: Final = "text/html; charset=utf-8"
MARKDOWN: Final = "text/markdown; charset=utf-8"
PLAIN: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Copy:
    """Something to serve, as it goes out."""

    media_type: str
    body: bytes
    packed: bytes
    """With gzip."""
    etag: str

    @classmethod
    def of(cls, media_type: str, text: str) -> "Copy":
        body = text.encode()
        etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
        return cls(media_type, body, gzip.compress(body, mtime=0), etag)


class _Site:
    def __init__(self, library: Library, layout: Layout) -> None:
        self._library = library
        self._layout = layout
        self._copies: dict[str, Copy] = {}
        self._making = asyncio.Lock()

    async def page(self, request: Request) -> Response:
        path: str = request.path_params.get("path", "")
        if request.url.path.endswith("/") or path == "index":
            return RedirectResponse(address(path.strip("/").removesuffix("index")), 308)
        slug, as_markdown = _asked(path)
        if not as_markdown:
            as_markdown = prefers(request.headers.get("accept", ""), "text/markdown", "text/html")

        def make() -> Copy:
            leaf = self._library.leaves.get(slug)
            if leaf is None:
                raise NotFound("There is no such page")
            if as_markdown:
                return Copy.of(MARKDOWN, self._library.markdown(leaf))
            return Copy.of(HTML, self._layout.page(leaf))

        made = await self._made(f"{slug} {as_markdown}", make)
        return _answer(request, made, {"Link": f'<{twin(slug)}>; rel="alternate"; type="text/markdown"'})

    async def index(self, request: Request) -> Response:
        return _answer(request, await self._made("llms", lambda: Copy.of(PLAIN, self._library.index())))

    async def whole(self, request: Request) -> Response:
        return _answer(request, await self._made("llms-full", lambda: Copy.of(PLAIN, self._library.whole())))

    async def search(self, request: Request) -> Response:
        def make() -> Copy:
            return Copy.of("application/json", self._layout.search())

        return _answer(request, await self._made("search", make))

    async def file(self, request: Request) -> Response:
        path: str = request.path_params["path"]
        plain = path == posixpath.normpath(path) and path.startswith(ATTACHED) and path.endswith(FILES)
        text = source_of(path) if plain else None
        if text is None:
            raise NotFound("There is no such file")
        return _answer(request, Copy.of(PLAIN, filled(text, self._library.public_url)))

    async def _made(self, name: str, make: Callable[[], Copy]) -> Copy:
        """In a thread: the beat of the calls is 20 ms, and a page may take longer than that to make."""
        if name not in self._copies:
            async with self._making:
                if name not in self._copies:
                    self._copies[name] = await asyncio.to_thread(make)
        return self._copies[name]


async def _first(request: Request) -> Response:
    del request
    return RedirectResponse(twin(""), 308)


def _asked(path: str) -> tuple[str, bool]:
    """The page, and whether its twin in Markdown is meant by name."""
    name = path.removesuffix(".md")
    if name == path:
        return path, False
    return {"index": "", "": path}.get(name, name), True


def _answer(request: Request, made: Copy, more: Mapping[str, str] | None = None) -> Response:
    headers = {
        **HEADERS,
        "Cache-Control": "no-cache",
        "Vary": "Accept, Accept-Encoding",
        "ETag": made.etag,
        **(more or {}),
    }
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if made.etag in known:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(made.packed, headers=headers, media_type=made.media_type)
    return Response(made.body, headers=headers, media_type=made.media_type)


def docs_routes(
    public_url: str, manifests: Sequence[Manifest], document: Callable[[], Schema], assets: Assets
) -> list[BaseRoute]:
    """`document` gives the OpenAPI document; it is asked at the first request for a page."""
    library = Library(public_url, manifests, document)
    views = Views(assets)
    site = _Site(library, Layout(library, assets))
    return [
        Route("/docs", views.guarded(site.page)),
        Route("/docs.md", views.guarded(_first)),
        Route("/docs/search.json", views.guarded(site.search)),
        Route("/docs/files/{path:path}", views.guarded(site.file)),
        Route("/docs/{path:path}", views.guarded(site.page)),
        Route("/llms.txt", views.guarded(site.index)),
        Route("/llms-full.txt", views.guarded(site.whole)),
    ]
