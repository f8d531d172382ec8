"""Events of the emulated Slack on their way to apps: by signed webhook, or over Socket Mode."""

import asyncio
import itertools
import json
import uuid
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx2
from starlette.websockets import WebSocket, WebSocketDisconnect

from chamade_mcp.connectors.slack.emulated_world import App, Bot, World
from chamade_mcp.connectors.slack.signing import SIGNATURE, TIMESTAMP, signature

_REPEAT_S: Final = (0.0, 0.2, 0.5)
"""Slack tries again at once, after a minute, and after five; and then no more."""
_ANSWER_S: Final = 3.0


class Delivery:
    def __init__(self, world: World) -> None:
        self._world = world
        self._http: httpx2.AsyncClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._sockets: defaultdict[str, list[WebSocket]] = defaultdict(list)
        self._waiting: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        """Envelopes that no socket has acknowledged, by app and id."""
        self._tickets: dict[str, App] = {}
        self._numbers = itertools.count(1)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with httpx2.AsyncClient(timeout=_ANSWER_S, trust_env=False) as self._http:
            try:
                yield
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
                self._http = None

    def tell(self, bot: Bot, event: dict[str, Any]) -> None:
        body = {
            "token": "deprecated", "team_id": bot.team, "api_app_id": bot.app.id, "event": event,
            "type": "event_callback", "event_id": f"Ev{next(self._numbers):08d}",
            "event_time": int(self._world.clock.now().timestamp()),
            "authorizations": [
                {"enterprise_id": None, "team_id": bot.team, "user_id": bot.user, "is_bot": True,
                 "is_enterprise_install": False}
            ],
        }  # fmt: skip
        self.later(self._push(bot.app, body) if bot.app.socket_mode else self._post(bot.app, body))

    def later(self, work: Any) -> None:
        """Beside what is going on now, until the end of `running`."""
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def post_once(
        self, app: App, body: bytes, headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        """One signed request to the app's request URL."""
        assert self._http is not None, "running"
        now = str(int(self._world.clock.now().timestamp()))
        signed = {TIMESTAMP: now, SIGNATURE: signature(app.signing_secret, now, body)}
        told = {"content-type": "application/json", **signed, **(headers or {})}
        return await self._http.post(app.request_url, content=body, headers=told)

    # --- Socket Mode ---------------------------------------------------------------------------------------

    def ticket(self, app: App) -> str:
        ticket = uuid.uuid4().hex
        self._tickets[ticket] = app
        return ticket

    async def serve(self, socket: WebSocket) -> None:
        app = self._tickets.pop(socket.query_params.get("ticket", ""), None)
        if app is None:
            await socket.close(4401)
            return
        await socket.accept()
        mine = self._sockets[app.id]
        mine.append(socket)
        hello = {"type": "hello", "num_connections": len(mine), "connection_info": {"app_id": app.id}}
        try:
            await socket.send_json(
                hello | {"debug_info": {"host": "emulated", "approximate_connection_time": 18060}}
            )
            for envelope in list(self._waiting[app.id].values()):
                await socket.send_json(envelope | {"retry_attempt": 1, "retry_reason": "timeout"})
            while True:
                told = json.loads(await socket.receive_text())
                self._waiting[app.id].pop(str(told.get("envelope_id")), None)
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            mine.remove(socket)

    async def refresh(self, app: App, reason: str) -> None:
        """Tells the app's sockets that they end soon; or, with ``link_disabled``, that there are none any
        more."""
        for socket in list(self._sockets[app.id]):
            await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {}})

    async def scribble(self, app: App, frame: str) -> None:
        """Sends the app's sockets what Slack would not."""
        for socket in list(self._sockets[app.id]):
            await socket.send_text(frame)

    async def cut(self, app: App) -> None:
        """The app's sockets end without a word."""
        for socket in list(self._sockets[app.id]):
            await socket.close(1011)

    def open_sockets(self, app: App) -> int:
        return len(self._sockets[app.id])

    # --- inside --------------------------------------------------------------------------------------------

    async def _push(self, app: App, body: dict[str, Any]) -> None:
        ref = str(uuid.uuid4())
        envelope: dict[str, Any] = {
            "envelope_id": ref, "type": "events_api", "payload": body,
            "accepts_response_payload": False, "retry_attempt": 0, "retry_reason": "",
        }  # fmt: skip
        self._waiting[app.id][ref] = envelope
        async with self._turns[app.id]:
            for socket in self._sockets[app.id][-1:]:
                try:
                    await socket.send_json(envelope)
                except (WebSocketDisconnect, RuntimeError):
                    return  # it waits for the next

    async def _post(self, app: App, body: dict[str, Any]) -> None:
        """The first attempts in the order of the events; those that follow whenever they may."""
        raw = json.dumps(body).encode()
        async with self._turns[app.id]:
            reason = await self._attempt(app, raw, {})
        for number, pause in enumerate(_REPEAT_S, 1):
            if not reason:
                return
            await self._world.clock.sleep(pause)
            told = {"x-slack-retry-num": str(number), "x-slack-retry-reason": reason}
            reason = await self._attempt(app, raw, told)

    async def _attempt(self, app: App, raw: bytes, headers: dict[str, str]) -> str:
        """ "" when it was taken, else why not."""
        try:
            answer = await self.post_once(app, raw, headers)
        except httpx2.TimeoutException:
            return "http_timeout"
        except httpx2.TransportError:
            return "connection_failed"
        if 200 <= answer.status_code < 300 or answer.headers.get("x-slack-no-retry") == "1":
            return ""
        return "http_error"
