"""The page of `chamade sandbox`: whoever opens it plays the people on emulated platforms."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from chamade_mcp.kit.sandbox import Stage
from chamade_mcp.web.assets import Assets
from chamade_mcp.web.views import Views

_MOST_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Playing:
    name: str
    title: str
    stage: Stage
    labels: Mapping[str, str]
    """What a bot's settings are called, by name."""


class _At(BaseModel):
    model_config = ConfigDict(extra="forbid")

    platform: str


_A = TypeVar("_A", bound=_At)


class _Said(_At):
    person: str = Field(min_length=1, max_length=60)
    text: str = Field(min_length=1, max_length=4000)


class _Address(_At):
    url: str = Field(min_length=1, max_length=500)


def sandbox_page(playing: Sequence[Playing], gateway_url: str) -> Starlette:
    """An application of its own: on loopback, where whoever reaches it may be anybody."""
    assets = Assets.load()
    views = Views(assets)
    there: Mapping[str, Playing] = {one.name: one for one in playing}

    async def page(request: Request) -> HTMLResponse:
        del request
        return views.render("sandbox.html", platforms=playing, gateway_url=gateway_url)

    async def lines(request: Request) -> Response:
        on = there.get(request.query_params.get("platform", ""))
        person = request.query_params.get("person", "")
        if on is None or not 1 <= len(person) <= 60:
            return Response(status_code=404)
        told = [asdict(line) for line in on.stage.lines(person)]
        return JSONResponse({"lines": told}, headers={"cache-control": "no-store"})

    async def write(on: Playing, said: _Said) -> Response:
        on.stage.write(said.person, said.text)
        return Response(status_code=204)

    async def bot(on: Playing, asked: _At) -> Response:
        del asked
        settings = [(on.labels.get(name, name), value) for name, value in on.stage.bot().items()]
        return JSONResponse({"settings": settings}, headers={"cache-control": "no-store"})

    async def address(on: Playing, told: _Address) -> Response:
        if not told.url.startswith(f"{gateway_url}/"):
            return Response(status_code=422)  # emulators call nobody but this gateway
        await on.stage.connected(told.url)
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/lines", lines),
            Route("/write", _told(there, _Said, write), methods=["POST"]),
            Route("/bot", _told(there, _At, bot), methods=["POST"]),
            Route("/address", _told(there, _Address, address), methods=["POST"]),
            assets.route(),
        ],
        # Another site's name for this address would make its scripts this page's.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )


def _told(
    there: Mapping[str, Playing], kind: type[_A], act: Callable[[Playing, _A], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        # Only this page's own script can send this header without asking first: no form elsewhere can.
        if request.headers.get("x-sandbox") != "1":
            return Response(status_code=403)
        try:
            told = kind.model_validate_json(await _body(request))
        except ValidationError:
            return Response(status_code=422)
        on = there.get(told.platform)
        return Response(status_code=404) if on is None else await act(on, told)

    return endpoint


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            return b""
    return bytes(body)
