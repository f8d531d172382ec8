"""One exchange with the gateway: a message out, its answer in. Who tries again is decided elsewhere."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from chamade_mcp_shim import failures, messages, sse
from chamade_mcp_shim.failures import Failed
from chamade_mcp_shim.http import Answer, Http
from chamade_mcp_shim.messages import Kind, Message, Tools, member

Forward = Callable[[bytes], Coroutine[None, None, None]]
"""Takes one line for the client."""

_ACCEPT: Final = "application/json, text/event-stream"
_STREAM: Final = "text/event-stream"
_RESUME_S: Final = 1.0
_MOST_RESUMED: Final = 3


@dataclass(frozen=True, slots=True)
class Session:
    """What an `initialize` was answered with."""

    id: str | None
    version: str


class SessionGone(Exception):
    """The server does not know this session any more; nothing was done."""

    def __init__(self, id_: str) -> None:
        super().__init__(id_)
        self.id = id_


class Gateway:
    """The MCP endpoint, and the session there once `initialize` has made one."""

    def __init__(self, http: Http, forward: Forward) -> None:
        self._http = http
        self._forward = forward
        self._modern: str | None = None
        self.tools = Tools()
        self.session: Session | None = None

    @property
    def where(self) -> str:
        return self._http.where

    async def send(self, message: Message, *, quiet: bool = False) -> None:
        """Returns once the answer is with the client; `quiet` keeps answers from it.

        Raises `Failed`, or `SessionGone`.
        """
        headers, session = self._headers(message)
        async with self._http.request("POST", headers, message.raw) as answer:
            if answer.status == 404 and session is not None:
                await answer.read()
                raise SessionGone(session)
            if not 200 <= answer.status < 300:
                await self._refusal(message, answer, quiet)
            elif message.kind is not Kind.REQUEST:
                if answer.media_type != _STREAM:
                    await answer.read()
            elif answer.media_type == _STREAM:
                await self._from_stream(message, answer, session, quiet)
            else:
                await self._take(message, answer, await answer.read(), quiet)

    @asynccontextmanager
    async def listen(self, session: Session, last_id: str | None) -> AsyncGenerator[Answer]:
        """The stream of what the server says by itself. Raises like `send`."""
        headers = {"accept": _STREAM, "mcp-protocol-version": session.version}
        if session.id is not None:
            headers["mcp-session-id"] = session.id
        if last_id:
            headers["last-event-id"] = last_id
        async with self._http.request("GET", headers) as answer:
            if answer.status == 404 and session.id is not None:
                await answer.read()
                raise SessionGone(session.id)
            if answer.status != 200:
                body = await answer.read()
                raise failures.refused(self.where, answer.status, answer.headers, body)
            if answer.media_type != _STREAM:
                raise failures.no_mcp(self.where, "a GET is answered with no event stream", answer.status)
            yield answer

    async def end(self) -> None:
        """Tell the server that the session is over. Raises `Failed`."""
        session, self.session = self.session, None
        if session is not None and session.id is not None:
            headers = {"mcp-session-id": session.id, "mcp-protocol-version": session.version}
            async with self._http.request("DELETE", headers) as answer:
                await answer.read()

    def _headers(self, message: Message) -> tuple[dict[str, str], str | None]:
        """Headers for a message, and the session they name."""
        headers = {"accept": _ACCEPT, "content-type": "application/json"}
        if message.own_version is not None:
            self._modern = message.own_version
            headers["mcp-protocol-version"] = message.own_version
            return headers | self.tools.modern_headers(message), None
        if message.method == "initialize":
            return headers, None
        if self.session is None:
            if self._modern is not None:
                headers["mcp-protocol-version"] = self._modern
            return headers, None
        headers["mcp-protocol-version"] = self.session.version
        if self.session.id is not None:
            headers["mcp-session-id"] = self.session.id
        return headers, self.session.id

    async def _refusal(self, message: Message, answer: Answer, quiet: bool) -> None:
        """An error of JSON-RPC is the answer; anything else is raised."""
        body = await answer.read()
        if message.kind is Kind.REQUEST and answer.status not in (401, 403, 429, 503):
            reply = _reply(body)
            error = member(reply and reply.body, "error")
            if reply is not None and error is not None and (reply.key == message.key or answer.status < 500):
                await self._pass_on(message, reply, quiet)
                return
        raise failures.refused(self.where, answer.status, answer.headers, body)

    async def _take(self, message: Message, answer: Answer, body: bytes, quiet: bool) -> None:
        reply = _reply(body)
        if reply is None:
            kind = answer.media_type or "nothing"
            if answer.status in (202, 204):
                kind = f"a bare {answer.status}"
            raise failures.no_mcp(self.where, f"a request is answered with {kind}", answer.status)
        self._begin(message, reply, answer)
        await self._pass_on(message, reply, quiet)

    async def _from_stream(self, message: Message, answer: Answer, session: str | None, quiet: bool) -> None:
        """Events until the answer is among them; a stream with ids is taken up again where it broke off."""
        events = sse.Parser()
        last_id = await self._read_stream(message, answer, answer, events, quiet)
        for _ in range(_MOST_RESUMED):
            if last_id is None:
                return
            if not last_id or session is None or self.session is None:
                break
            await asyncio.sleep(_RESUME_S if events.retry_s is None else min(events.retry_s, 60.0))
            events = sse.Parser()
            try:
                async with self.listen(self.session, last_id) as more:
                    found = await self._read_stream(message, more, answer, events, quiet)
                    last_id = None if found is None else found or last_id
            except Failed:
                continue
            except SessionGone:
                # The request was taken before that, so this must not look as if it had not been.
                break
        if last_id is not None:
            raise failures.broken(self.where, "the stream ended before the answer")

    async def _read_stream(
        self, message: Message, stream: Answer, first: Answer, events: sse.Parser, quiet: bool
    ) -> str | None:
        """None once the answer was there, else the id of the last event, which may be empty."""
        last_id = ""
        try:
            while piece := await stream.piece():
                for event in events.feed(piece):
                    last_id = event.id
                    said = _message(event)
                    if said is None:
                        continue
                    if said.kind is Kind.RESPONSE:
                        self._begin(message, said, first)
                        await self._pass_on(message, said, quiet)
                        return None
                    if not quiet:
                        await self._forward(messages.line(said.raw))
        except Failed:
            if not last_id:
                raise
        return last_id

    def _begin(self, message: Message, reply: Message, answer: Answer) -> None:
        """A good answer to `initialize` makes a session."""
        version = member(reply.body.get("result"), "protocolVersion")
        if message.method == "initialize" and isinstance(version, str):
            self.session = Session(answer.headers.get("mcp-session-id"), version)
            self._modern = None

    async def _pass_on(self, message: Message, reply: Message, quiet: bool) -> None:
        if message.method == "tools/list":
            self.tools.learn(reply.body.get("result"))
        if quiet:
            return
        if reply.key == message.key:
            await self._forward(messages.line(reply.raw))
        else:
            # Refused before its id was read: the answer is to this request all the same.
            await self._forward(messages.line(messages.dump(reply.body | {"id": message.id})))


def _reply(body: bytes) -> Message | None:
    """The response that a body holds."""
    try:
        message = messages.read(body)
    except messages.Malformed:
        return None
    return message if message.kind is Kind.RESPONSE else None


def _message(event: sse.Event) -> Message | None:
    if event.kind != "message" or not event.data:
        return None
    try:
        return messages.read(event.data)
    except messages.Malformed:
        return None


def message_in(event: sse.Event) -> bytes | None:
    """The line for the client that an event holds; None where it only carries an id, or nonsense."""
    message = _message(event)
    return None if message is None else messages.line(message.raw)
