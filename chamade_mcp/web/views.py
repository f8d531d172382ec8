"""What the dashboard's pages have in common: templates, headers, the page that says what went wrong."""

import logging
import math
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from chamade_mcp import __version__
from chamade_mcp.kit.problem import problem_response
from chamade_mcp.kit.request_id import request_id_of
from chamade_mcp.model.errors import GatewayError, Internal
from chamade_mcp.web.assets import Assets
from chamade_mcp.web.pages import page_templates
from chamade_mcp.web.rooms import PAGE_HEADERS

log = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]

HEADERS: Mapping[str, str] = {
    **PAGE_HEADERS,
    # Without a referrer browsers send `Origin: null` with a form: ours could not be told from a foreign one.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "microphone=(), camera=(), geolocation=()",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_TITLES = {
    403: "This is not open to you",
    404: "There is nothing here",
    410: "This link no longer works",
    503: "Not at the moment",
}
_WORDS = {404: "The address is mistyped, or what it named is gone."}


class Views:
    def __init__(self, assets: Assets) -> None:
        self._templates = page_templates()
        self._shared: Mapping[str, object] = {"asset": assets.path, "version": __version__}

    def render(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        html = self._templates.get_template(template).render(**self._shared, **values)
        return HTMLResponse(html, status, headers=HEADERS)

    def guarded(self, answer: Endpoint) -> Endpoint:
        """`answer`, with every failure told as a page."""

        async def endpoint(request: Request) -> Response:
            try:
                return await answer(request)
            except GatewayError as error:
                return self.refuse(request, error)
            except Exception as error:
                return self.refuse(request, Internal(), cause=error)

        return endpoint

    def refuse(self, request: Request, error: GatewayError, *, cause: Exception | None = None) -> Response:
        """`error` as a page for a browser, as a problem object for everything else."""
        request_id = request_id_of(request.scope)
        if cause is not None:
            log.error("request %s failed", request_id, exc_info=cause)
        if "text/html" not in request.headers.get("accept", ""):
            return problem_response(error, request_id=request_id, headers={"cache-control": "no-store"})
        response = self.render(
            "dash_error.html",
            status=error.status,
            title=_TITLES.get(error.status, "Something went wrong here"),
            words=_WORDS.get(error.status, f"{error.detail}."),
            request_id=request_id if error.status >= 500 else "",
        )
        response.headers["x-request-id"] = request_id
        if error.retry_after is not None:
            response.headers["retry-after"] = str(math.ceil(error.retry_after))
        return response
