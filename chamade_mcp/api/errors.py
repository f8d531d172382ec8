"""The outermost layer: a request id on every answer, and every exception as a problem object."""

import logging
from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chamade_mcp.api.body import ClientGone
from chamade_mcp.kit.problem import problem_response
from chamade_mcp.kit.request_id import request_id_of
from chamade_mcp.model.errors import (
    GatewayError,
    Internal,
    MethodNotAllowed,
    RangeNotSatisfiable,
    Unauthenticated,
)

log = logging.getLogger(__name__)


class NotThisMethod(MethodNotAllowed):
    """405 with the `Allow` header it must have."""

    def __init__(self, allow: str) -> None:
        super().__init__(f"This path takes {allow}")
        self.allow = allow


class Problems:
    """Pure ASGI. Wraps the API, and may wrap anything else that raises `GatewayError`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        raw_id = request_id.encode("ascii")
        started = False

        def send_with_id(message: Message) -> Awaitable[None]:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", raw_id)]
            return send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientGone:
            return
        except GatewayError as error:
            if started:
                log.warning("request %s broke off with %s", request_id, error.code)
                return
            await _refuse(error, request_id, scope, receive, send)
        except Exception:
            log.exception("request %s failed", request_id)
            if not started:
                await _refuse(Internal(), request_id, scope, receive, send)


async def _refuse(error: GatewayError, request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"cache-control": "no-store"}
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = 'Bearer realm="chamade"'
    if isinstance(error, NotThisMethod):
        headers["allow"] = error.allow
    if isinstance(error, RangeNotSatisfiable):
        headers["content-range"] = f"bytes */{error.size_bytes}"
    response = problem_response(error, request_id=request_id, headers=headers)
    if scope["method"] == "HEAD":
        response.body = b""
    await response(scope, receive, send)
