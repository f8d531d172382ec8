"""The addon `chamade_talk` 2.5.0, emulated: its routes, its consent, its webhooks (CONTRACT section 11)."""

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, cast
from urllib.parse import urlencode, urlsplit

import httpx2
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from chamade_mcp.connectors.nctalk.emulated_world import RoomState, User, World

APP: Final = "chamade_talk"
_STATE_S: Final = 600.0
_COMMANDS: Final = ("/activate", "/deactivate")
_PROBE: Final = "__chamade_probe:"


class Addon:
    """Webhooks go out while `running`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.url = ""
        """Nextcloud's own, as people's browsers see it."""
        self.gateway_url = ""
        """The configuration value that the NC-first way starts at."""
        self.events = True
        """Whether Talk tells the addon of messages, as it does from Nextcloud 31 on."""
        self.sent: list[tuple[str, dict[str, Any], int]] = []
        """Path, body and the answer's status of each webhook."""
        self._http: httpx2.AsyncClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with httpx2.AsyncClient(timeout=15, trust_env=False) as self._http:
            try:
                yield
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    def routes(self) -> list[BaseRoute]:
        found: list[BaseRoute] = []
        for base in (f"/apps/{APP}", f"/index.php/apps/{APP}"):
            found += [
                Route(f"{base}/connect-start", self._signed_in(self._connect_start)),
                Route(f"{base}/authorize", self._signed_in(self._approve), methods=["GET", "POST"]),
                Route(f"{base}/authorize/finish", self._signed_in(self._finish)),
                Route(f"{base}/api/v1/config", self._called(self._config)),
                Route(f"{base}/api/v1/authorized-rooms", self._called(self._rooms), methods=["GET", "PUT"]),
                Route(f"{base}/api/v1/authorize", self._called(self._scripted), methods=["POST"]),
                Route(f"{base}/api/v1/bot-users/{{login}}", self._called(self._remove), methods=["DELETE"]),
                Route(
                    f"{base}/api/v1/bot-users/{{login}}/avatar",
                    self._called(self._avatar),
                    methods=["POST"],
                ),
            ]
        return found

    def told(self, room: RoomState, message: dict[str, Any]) -> None:
        """Talk has told of a message: on it goes, if it is one that is forwarded."""
        if not self.events or not self._world.addon.enabled:
            return
        task = asyncio.create_task(self._forward(room, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def tell(self, path: str, body: dict[str, Any]) -> None:
        """A webhook that is no message."""
        task = asyncio.create_task(self._only_send(path, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def disable(self) -> None:
        """`occ app:disable`: the gateway is told, then the bot users go."""
        await self._send("/api/nctalk/addon-disabled", {"nc_url": f"{self.url}/nextcloud", "app_id": APP})
        for login in list(self._world.addon.owners):
            self._world.remove_user(login)
        self._world.addon.enabled = False

    # --- to the gateway ------------------------------------------------------------------------------------

    async def _only_send(self, path: str, body: dict[str, Any]) -> None:
        await self._send(path, body)

    async def _send(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        addon = self._world.addon
        if not addon.backend_url or self._http is None:
            return {}
        random = secrets.token_hex(16)
        headers = {
            "X-Maquisard-Random": random,
            "X-Maquisard-Signature": _signature(addon.api_secret, random),
        }
        try:
            answer = await self._http.post(addon.backend_url.rstrip("/") + path, json=body, headers=headers)
        except httpx2.HTTPError:
            return {}  # it only logs, and does not try again
        self.sent.append((path, body, answer.status_code))
        return answer.json() if answer.is_success and answer.content else {}

    async def _forward(self, room: RoomState, message: dict[str, Any]) -> None:
        addon, text, actor = self._world.addon, str(message["message"]).strip(), str(message["actorId"])
        bots = [m for m in room.members if m in addon.owners]
        if actor in addon.owners and text.startswith(_PROBE) and text.endswith("__"):
            nonce = text.removeprefix(_PROBE)[:-2]
            await self._send(
                "/api/nctalk/probe", {"nonce": nonce, "bot_login": actor, "room_token": room.token}
            )
            return
        if actor in addon.owners or message["actorType"] == "bots" or not bots:
            return
        owned = room.type == 1 and actor in addon.owners.values()
        if text not in _COMMANDS and room.token not in addon.authorized and not owned:
            return
        owner = addon.authorized.get(room.token) or addon.owners[bots[0]]
        bot = next((b for b in bots if addon.owners[b] == owner), bots[0])
        files = [p for p in dict(message["messageParameters"] or {}).values() if p["type"] == "file"]
        body: dict[str, Any] = {
            "type": "Activity" if message["systemMessage"] or files else "Create",
            "room_token": room.token,
            "sender": message["actorDisplayName"],
            "sender_id": f"{message['actorType']}/{actor}",
            "message": message["message"],
            "room_type": room.type,
            "bot_user": bot,
            "bot_owner": addon.owners[bot],
        }
        if owner in self._world.addon.devices and not files and not text.startswith("/"):
            body |= self._sealed(body.pop("message"))
        if files:
            body["attachments"] = [
                {
                    "file_id": f["id"],
                    "name": f["name"],
                    "mime": f["mimetype"],
                    "size": int(f["size"]),
                    "path": f["path"],
                }
                for f in files
            ]
        reply = (await self._send("/api/nctalk/chat", body)).get("message")
        if isinstance(reply, str) and reply:
            self._world.post(room, "Chamade", reply, kind="bots")

    @staticmethod
    def _sealed(message: str) -> dict[str, Any]:
        """As addon 3.x sends it to owners who have paired a device. The real format is not published."""
        pad = secrets.token_bytes(len(message.encode()))
        block = bytes(a ^ b for a, b in zip(message.encode(), pad, strict=True))
        return {"encrypted": {"scheme": "x25519-sealedbox", "block": base64.b64encode(block).decode()}}

    # --- browsers ------------------------------------------------------------------------------------------

    def _signed_in(self, page: Callable[[Request, User], Awaitable[Response]]) -> Any:
        """Who is signed in stands in the cookie `nc_user`."""

        async def endpoint(request: Request) -> Response:
            user = self._world.users.get(request.cookies.get("nc_user", ""))
            if user is None or not self._world.addon.enabled:
                return JSONResponse({"error": "Not authenticated"}, 401)
            return await page(request, user)

        return endpoint

    async def _connect_start(self, request: Request, user: User) -> Response:
        if not user.admin:
            return JSONResponse({"error": "Admin required"}, 403)
        origin = request.query_params.get("origin", "")
        state = secrets.token_hex(16)
        until = self._world.clock.monotonic() + _STATE_S
        self._world.addon.nc_states[state] = (user.login, until)
        asked = {
            "nc_state": state,
            "nc_url": self.url,
            "origin": "dashboard" if origin == "dashboard" else "nc_admin",
        }
        return RedirectResponse(f"{self.gateway_url}/connect/nctalk?{urlencode(asked)}", 303)

    async def _finish(self, request: Request, user: User) -> Response:
        query, addon = request.query_params, self._world.addon
        origin = query.get("origin", "nc_admin")
        names = ("state", "nc_state", "callback_url", "backend_url")
        if any(not query.get(name) for name in names):
            return self._fail(origin, "missing_params")
        if not user.admin:
            return JSONResponse({"error": "Admin required"}, 403)
        bound = addon.nc_states.pop(query["nc_state"], None)
        if bound is None:
            return self._fail(origin, "state_mismatch" if addon.nc_states else "state_missing")
        if bound[1] <= self._world.clock.monotonic():
            return self._fail(origin, "state_expired")
        if bound[0] != user.login:
            return self._fail(origin, "admin_mismatch")
        if not _alike(query["callback_url"], query["backend_url"]):
            return self._fail(origin, "unsafe_urls")
        addon.callback_url, addon.backend_url = query["callback_url"], query["backend_url"]
        if await self._hand_over(query["state"], user.login) is None:
            return self._fail(origin, "bot_creation_failed")
        if origin == "dashboard":
            return RedirectResponse(f"{addon.backend_url}/dashboard/platforms?connected=nctalk", 303)
        return RedirectResponse(f"{self.url}/settings/admin/talk?connected=1", 303)

    def _fail(self, origin: str, code: str) -> Response:
        if origin == "dashboard":
            return RedirectResponse(f"{self.gateway_url}/dashboard/platforms?error=nctalk_{code}", 303)
        return RedirectResponse(f"{self.url}/settings/admin/talk?error={code}", 303)

    async def _approve(self, request: Request, user: User) -> Response:
        query, addon = request.query_params, self._world.addon
        callback, backend = query.get("callback_url", ""), query.get("backend_url", "")
        if not addon.callback_url and _alike(callback, backend):
            addon.callback_url, addon.backend_url = callback, backend
        if request.method == "GET":
            return Response(f"Let {query.get('agent_name', '')} in?", media_type="text/html")
        if not addon.callback_url or not query.get("state"):
            return JSONResponse({"error": "callback_url not configured or state missing"}, 400)
        if await self._hand_over(query["state"], user.login) is None:
            return JSONResponse({"error": "Callback to external service failed"}, 502)
        parts = urlsplit(addon.callback_url)  # its port is dropped, as the addon does
        return RedirectResponse(f"{parts.scheme}://{parts.hostname}/dashboard?nctalk=connected", 303)

    async def _hand_over(self, state: str, owner: str) -> User | None:
        """Makes a bot user, and keeps it if the gateway takes it."""
        bot, addon = self._world.new_bot(owner), self._world.addon
        parts = urlsplit(self.url)
        body = {
            "state": state,
            "nc_url": f"{parts.scheme}://{parts.netloc}",
            "bot_login": bot.login,
            "bot_password": bot.password,
            "api_secret": addon.api_secret,
            "app_id": APP,
            "nc_username": owner,
        }
        assert self._http is not None, "running"
        try:
            answer = await self._http.post(addon.callback_url, json=body)
        except httpx2.HTTPError:
            answer = None
        if answer is None or not answer.is_success:
            self._world.remove_user(bot.login)
            return None
        return bot

    # --- from the gateway ----------------------------------------------------------------------------------

    def _called(self, answer: Callable[[Request], Awaitable[Response]]) -> Any:
        async def endpoint(request: Request) -> Response:
            if not self._world.addon.enabled:
                return JSONResponse({"message": "Not found"}, 404)
            random = request.headers.get("x-maquisard-random", "")
            signature = request.headers.get("x-maquisard-signature", "")
            wanted = _signature(self._world.addon.api_secret, random)
            if not random or not hmac.compare_digest(signature.encode(), wanted.encode()):
                return JSONResponse({"error": "Invalid HMAC"}, 403)
            return await answer(request)

        return endpoint

    async def _config(self, request: Request) -> Response:
        del request
        return JSONResponse({"hpb_url": "", "stun_servers": [], "turn_servers": []})

    async def _rooms(self, request: Request) -> Response:
        addon = self._world.addon
        if request.method == "GET":
            return JSONResponse({"authorized_rooms": addon.authorized or []})
        rooms = (await request.json()).get("authorized_rooms")
        if not isinstance(rooms, dict):
            return JSONResponse({"error": "authorized_rooms must be an object"}, 400)
        told = cast("dict[str, Any]", rooms)
        addon.authorized = {room: str(owner) for room, owner in told.items()}
        return JSONResponse({"status": "ok", "count": len(told)})

    async def _scripted(self, request: Request) -> Response:
        asked, addon = await request.json(), self._world.addon
        callback = str(asked.get("callback_url") or addon.callback_url)
        if not callback or not asked.get("state"):
            return JSONResponse({"error": "callback_url and state required"}, 400)
        parts = urlsplit(callback)
        addon.callback_url, addon.backend_url = callback, f"{parts.scheme}://{parts.netloc}"
        bot = await self._hand_over(str(asked["state"]), str(asked.get("nc_username", "")))
        if bot is None:
            return JSONResponse({"error": "Callback to external service failed"}, 502)
        return JSONResponse({"status": "ok", "bot_login": bot.login})

    async def _remove(self, request: Request) -> Response:
        login, addon = request.path_params["login"], self._world.addon
        if login not in addon.owners:
            return JSONResponse({"error": "User not found"}, 404)
        owner = addon.owners[login]
        self._world.remove_user(login)
        addon.authorized = {room: who for room, who in addon.authorized.items() if who != owner}
        return JSONResponse({"status": "ok"})

    async def _avatar(self, request: Request) -> Response:
        user = self._world.users.get(request.path_params["login"])
        if user is None or user.login not in self._world.addon.owners:
            return JSONResponse({"error": "User not found"}, 404)
        async with request.form() as form:
            picture = form.get("avatar")
            if not isinstance(picture, UploadFile):
                return JSONResponse({"error": "No avatar file uploaded"}, 400)
            user.avatar = await picture.read()
        if not user.avatar.startswith(b"\x89PNG\r\n"):
            return JSONResponse({"error": "Failed to upload avatar"}, 500)
        return JSONResponse({"status": "ok"})


def _signature(secret: str, random: str) -> str:
    return hmac.new(secret.encode(), random.encode(), hashlib.sha256).hexdigest()


def _alike(one: str, other: str) -> bool:
    """Scheme and host are the same."""
    a, b = urlsplit(one), urlsplit(other)
    return a.scheme in ("http", "https") and (a.scheme, a.hostname) == (b.scheme, b.hostname)
