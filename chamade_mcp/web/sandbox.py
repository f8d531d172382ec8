"""The page of `chamade sandbox`: whoever opens it plays the people on emulated platforms."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

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


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid")

    platform: str
    person: str = Field(min_length=1, max_length=60)
    text: str = Field(min_length=1, max_length=4000)


def sandbox_page(playing: Sequence[Playing], gateway_url: str) -> Starlette:
    """An application of its own: on loopback, where whoever reaches it may be anybody."""
    assets = Assets.load()
    views = Views(assets)
    stages: Mapping[str, Stage] = {one.name: one.stage for one in playing}

    async def page(request: Request) -> HTMLResponse:
        del request
        return views.render("sandbox.html", platforms=playing, gateway_url=gateway_url)

    async def lines(request: Request) -> Response:
        stage = stages.get(request.query_params.get("platform", ""))
        person = request.query_params.get("person", "")
        if stage is None or not 1 <= len(person) <= 60:
            return Response(status_code=404)
        told = [asdict(line) for line in stage.lines(person)]
        return JSONResponse({"lines": told}, headers={"cache-control": "no-store"})

    async def write(request: Request) -> Response:
        # Only this page's own script can send this header without asking first: no form elsewhere can.
        if request.headers.get("x-sandbox") != "1":
            return Response(status_code=403)
        try:
            said = _Said.model_validate_json(await _body(request))
        except ValidationError:
            return Response(status_code=422)
        stage = stages.get(said.platform)
        if stage is None:
            return Response(status_code=404)
        stage.write(said.person, said.text)
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/lines", lines),
            Route("/write", write, methods=["POST"]),
            assets.route(),
        ],
        # Another site's name for this address would make its scripts this page's.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            return b""
    return bytes(body)
