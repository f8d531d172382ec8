"""The ASGI side: what browsers connect to."""

import asyncio
import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from chamade_mcp.connectors.web import wire
from chamade_mcp.connectors.web.guest import (
    BROKEN,
    FRAME_BYTES,
    NO_HELLO,
    SHUTDOWN,
    TOO_BIG,
    UNKNOWN_LINK,
    Goodbye,
    Guest,
    Pass,
    farewell,
)
from chamade_mcp.connectors.web.incoming import Hello, parse
from chamade_mcp.connectors.web.link import Places
from chamade_mcp.connectors.web.pace import within
from chamade_mcp.connectors.web.uploads import opened
from chamade_mcp.kit.connector import Invite
from chamade_mcp.kit.problem import problem_response
from chamade_mcp.model.errors import (
    Forbidden,
    GatewayError,
    Internal,
    MethodNotAllowed,
    NotFound,
    Unauthenticated,
)

log = logging.getLogger(__name__)

HELLO_S = 10.0
FOREIGN = Goodbye(1008)


class _Ended(Exception):
    """Nobody came in; the socket ends with `goodbye`."""

    def __init__(self, goodbye: Goodbye) -> None:
        super().__init__()
        self.goodbye = goodbye


class Reception:
    """Lets people in, and keeps count of the tasks their sockets run in."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._ctx = places.ctx
        self._visits: set[asyncio.Task[None]] = set()
        self._arriving: set[asyncio.Task[None]] = set()
        self.app = Starlette(
            routes=[
                WebSocketRoute("/{token}", self._serve),
                Route("/{token}/files", self._upload, methods=["POST"]),
            ],
            exception_handlers={
                GatewayError: _problem,
                HTTPException: _http_problem,
                Exception: _internal_problem,
            },
        )

    async def close(self) -> None:
        """Returns once every socket is closed; `Places.close` has told their guests to leave."""
        for task in self._arriving:
            task.cancel()
        if self._visits:
            await asyncio.wait(self._visits)

    async def _serve(self, socket: WebSocket) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._visits.add(task)
        self._arriving.add(task)
        try:
            await self._visit(socket, task)
        except asyncio.CancelledError:
            if not self._places.closing:
                raise
            await farewell(socket, SHUTDOWN, self._ctx.clock)
        finally:
            self._visits.discard(task)
            self._arriving.discard(task)

    async def _visit(self, socket: WebSocket, task: "asyncio.Task[None]") -> None:
        try:
            await socket.accept()
            entry, hello = await self._arrive(socket, socket.path_params["token"])
            place = self._places.of(entry.invite)
            guest = Guest(socket, entry, hello, place, self._ctx.clock)
            try:
                await place.enter(guest)
                self._arriving.discard(task)
                await guest.run(self._ctx.invites)
            finally:
                await place.leave(guest)
                self._places.release(place, entry.token)
        except _Ended as ended:
            await farewell(socket, ended.goodbye, self._ctx.clock)
        except WebSocketDisconnect:
            log.debug("somebody left before coming in")
        except Exception:
            log.exception("a guest could not be let in")
            await farewell(socket, BROKEN, self._ctx.clock)

    async def _arrive(self, socket: WebSocket, token: str) -> tuple[Pass, Hello]:
        if self._places.closing:
            raise _Ended(SHUTDOWN)
        if not self._is_ours(socket):
            raise _Ended(FOREIGN)
        await self._admit(token)
        try:
            hello = await within(self._ctx.clock, HELLO_S, _hello(socket))
        except TimeoutError:
            raise _Ended(NO_HELLO) from None
        invite = await self._admit(token)  # again: it may have been revoked while we waited
        if self._places.closing:
            raise _Ended(SHUTDOWN)
        passes = self._places.passes
        guest_id = passes.guest(hello.guest, token) or passes.new_guest()
        return Pass(guest_id, passes.secret(guest_id, token), token, invite), hello

    async def _admit(self, token: str) -> Invite:
        invite = await self._ctx.invites.admit(token)
        if invite is None:
            raise _Ended(UNKNOWN_LINK)
        return invite

    def _is_ours(self, connection: HTTPConnection) -> bool:
        """Only browsers say where they come from; whatever else has the link may use it."""
        origin = connection.headers.get("origin")
        return origin is None or self._places.addresses.is_ours(origin, connection.headers.get("host"))

    async def _upload(self, request: Request) -> Response:
        token: str = request.path_params["token"]
        if not self._is_ours(request):
            raise Forbidden("Files are taken from this gateway's own pages only", code="FOREIGN_ORIGIN")
        invite = await self._ctx.invites.admit(token)
        if invite is None:
            raise NotFound("This link is unknown, has expired or was revoked", code="LINK_NOT_FOUND")
        guest_id = self._places.passes.guest(request.headers.get("x-guest"), token)
        if guest_id is None:
            raise Unauthenticated(
                "X-Guest must be the 'guest' that 'welcome' gave for this link", code="INVALID_GUEST"
            )
        ticket = self._places.uploads.begin(invite.ref, guest_id)
        try:
            name, mime, chunks = await opened(request)
            attachment = await self._ctx.files.save(
                invite.scope, name=name, mime=mime, chunks=ticket.metered(chunks)
            )
        except ClientDisconnect:
            return Response(status_code=400)  # for the log only: nobody is there to read it
        ticket.add(attachment)
        return JSONResponse({"file_id": attachment.file_id, **attachment.to_wire()}, status_code=201)


async def _hello(socket: WebSocket) -> Hello:
    """The first `hello`; whatever comes before it is refused."""
    while True:
        event = await socket.receive()
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event.get("code", 1000))
        text: str | None = event.get("text")
        if max(len(text or ""), len(event.get("bytes") or b"")) > FRAME_BYTES:
            raise _Ended(TOO_BIG)
        refused = wire.Refused(wire.ErrorCode.INVALID_MESSAGE, "Say 'hello' first")
        if text is not None:
            try:
                message = parse(text)
                if isinstance(message, Hello):
                    return message
            except wire.Refused as found:
                refused = found
        await socket.send_text(wire.error(refused))


def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)
    return problem_response(error)


def _internal_problem(_request: Request, _error: Exception) -> Response:
    """The server logs what happened."""
    return problem_response(Internal())


def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == MethodNotAllowed.status:
        return problem_response(MethodNotAllowed("Method not allowed"), headers=error.headers)
    return problem_response(NotFound(f"There is no {request.method} here"), headers=error.headers)
