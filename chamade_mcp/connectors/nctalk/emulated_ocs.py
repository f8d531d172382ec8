"""Nextcloud's own HTTP interface, emulated: users, Talk, shares, files."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from chamade_mcp.connectors.nctalk.emulated_world import Refusal, RoomState, User, World

Told = Callable[[RoomState, dict[str, Any]], None]
"""Somebody has said something."""
_Answer = Callable[[Request, User], Awaitable[Response]]
_CHAT = "/ocs/v2.php/apps/spreed/api/v1/chat/{token}"
_ROOM = "/ocs/v2.php/apps/spreed/api/v4/room"
_SHARES = "/ocs/v{version:int}.php/apps/files_sharing/api/v1/shares"
_HEADERS = {"x-nextcloud-talk-hash": "emulated", "x-nextcloud-talk-modified-before": "0"}
_DAV = "/remote.php/dav/files/{login}/{path:path}"


def enveloped(data: object, status: int = 200, words: str = "OK", *, version: int = 2) -> Response:
    """The first version says everything but a wrong password with status 200, and 100 where it went well."""
    well = status < 400
    told = status if version == 2 else 100 if well else {401: 997}.get(status, status)
    meta = {"status": "ok" if well else "failure", "statuscode": told, "message": words}
    shown = status if version == 2 or status == 401 else 200
    return JSONResponse({"ocs": {"meta": meta, "data": data}}, shown, headers=_HEADERS)


class Ocs:
    def __init__(self, world: World, told: Told) -> None:
        self._world = world
        self._told = told
        self.down = False
        self.listings = 0
        """How often somebody has asked which rooms there are."""

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/ocs/v{version:int}.php/cloud/capabilities", self._for_user(self._capabilities)),
            Route("/ocs/v{version:int}.php/cloud/user", self._for_user(self._me)),
            Route(_ROOM, self._for_user(self._rooms), methods=["GET"]),
            Route(_ROOM, self._for_user(self._new_room), methods=["POST"]),
            Route(f"{_ROOM}/{{token}}", self._for_user(self._room), methods=["GET"]),
            Route(f"{_ROOM}/{{token}}/participants", self._for_user(self._participants), methods=["GET"]),
            Route(f"{_ROOM}/{{token}}/participants", self._for_user(self._add), methods=["POST"]),
            Route(_CHAT, self._for_user(self._history), methods=["GET"]),
            Route(_CHAT, self._for_user(self._say), methods=["POST"]),
            Route(f"{_CHAT}/{{number:int}}", self._for_user(self._edit), methods=["PUT"]),
            Route(f"{_CHAT}/{{number:int}}", self._for_user(self._delete), methods=["DELETE"]),
            Route(
                "/ocs/v2.php/apps/spreed/api/v1/reaction/{token}/{number:int}",
                self._for_user(self._react),
                methods=["GET", "POST", "DELETE"],
            ),
            Route(_SHARES, self._for_user(self._share), methods=["POST"]),
            Route(_DAV, self._for_user(self._file, csrf=False), methods=["GET", "PUT", "MKCOL", "DELETE"]),
        ]

    def _for_user(self, answer: _Answer, *, csrf: bool = True) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if self.down:
                return Response("<html>maintenance</html>", 503)
            if self._world.clock.monotonic() < self._world.flood_until:
                slower = enveloped([], 429, "Reached maximum delay")
                slower.headers["retry-after"] = "1"
                return slower
            if csrf and request.headers.get("ocs-apirequest", "").lower() != "true":
                return enveloped([], 412, "CSRF check failed")
            user = self._user(request)
            if user is None:
                return enveloped([], 401, "Current user is not logged in")
            try:
                return await answer(request, user)
            except Refusal as refusal:
                version = int(request.path_params.get("version", 2))
                return enveloped(refusal.data, refusal.status, refusal.words, version=version)

        return endpoint

    def _user(self, request: Request) -> User | None:
        kind, _, told = request.headers.get("authorization", "").partition(" ")
        try:
            login, _, password = base64.b64decode(told).decode().partition(":")
        except ValueError:
            return None
        user = self._world.users.get(login)
        return user if kind == "Basic" and user is not None and user.password == password else None

    async def _capabilities(self, request: Request, user: User) -> Response:
        del user
        chat = {"max-length": 32000, "read-privacy": 0, "typing-privacy": 0}
        spreed = {
            "features": ["chat-v2", "reactions", "edit-messages", "delete-messages", "silent-send"],
            "config": {"chat": chat},
            "version": "21.0.0",
        }
        version = {
            "major": 31,
            "minor": 0,
            "micro": 0,
            "string": "31.0.0",
            "edition": "",
            "extendedSupport": False,
        }
        sharing = {"api_enabled": True, "public": {"enabled": True}}
        told = {"version": version, "capabilities": {"spreed": spreed, "files_sharing": sharing}}
        return enveloped(told, version=request.path_params["version"])

    async def _me(self, request: Request, user: User) -> Response:
        told = {"id": user.login, "displayname": user.name, "enabled": True}
        return enveloped(told, version=request.path_params["version"])

    async def _rooms(self, request: Request, user: User) -> Response:
        del request
        self.listings += 1
        return enveloped(
            [self._shown(r, user) for r in self._world.rooms.values() if user.login in r.members]
        )

    async def _room(self, request: Request, user: User) -> Response:
        return enveloped(self._shown(self._room_of(request, user), user))

    async def _new_room(self, request: Request, user: User) -> Response:
        asked = await _asked(request)
        other = str(asked.get("invite", ""))
        if int(asked.get("roomType", 0)) != 1:
            return enveloped(
                self._shown(self._world.new_room(2, str(asked.get("roomName")), [user.login]), user), 201
            )
        if other not in self._world.users:
            raise Refusal(404)
        return enveloped(self._shown(self._world.alone(user.login, other), user), 201)

    async def _participants(self, request: Request, user: User) -> Response:
        return enveloped(
            [
                {
                    "attendeeId": number,
                    "actorType": "users",
                    "actorId": login,
                    "displayName": self._world.users[login].name,
                    "participantType": 3,
                    "lastPing": 0,
                    "inCall": 0,
                    "permissions": 254,
                    "attendeePermissions": 0,
                    "sessionIds": list[str](),
                }
                for number, login in enumerate(self._room_of(request, user).members, 1)
                if login in self._world.users
            ]
        )

    async def _add(self, request: Request, user: User) -> Response:
        room, asked = self._room_of(request, user), await _asked(request)
        if (whom := str(asked.get("newParticipant", ""))) not in self._world.users:
            raise Refusal(404)
        if whom not in room.members:
            room.members.append(whom)
            self._told(room, self._world.note(room, user.login, "user_added", "{actor} added {user}"))
        return enveloped([])

    async def _history(self, request: Request, user: User) -> Response:
        room, query = self._room_of(request, user), request.query_params
        last, limit = int(query.get("lastKnownMessageId", 0)), min(200, int(query.get("limit", 100)))
        future = query.get("lookIntoFuture", "0") == "1"
        found = self._after(room, last) if future else list(reversed(self._before(room, last)))
        wait_s = min(60, int(query.get("timeout", 30)))
        if future and not found and wait_s:
            news = room.news
            try:
                async with asyncio.timeout(wait_s):
                    await news.wait()
            except TimeoutError:
                pass
            found = self._after(room, last)
        found = found[:limit]
        if not found:
            return Response(status_code=304)
        given = str(found[-1]["id"])
        shown = [{k: v for k, v in m.items() if not k.startswith("_")} for m in found]
        answer = enveloped(shown)
        answer.headers["x-chat-last-given"] = given
        return answer

    async def _say(self, request: Request, user: User) -> Response:
        room, asked = self._room_of(request, user), await _asked(request)
        text = str(asked.get("message", ""))
        if not text.strip():
            raise Refusal(400, data={"error": "message"})
        reply_to = int(asked.get("replyTo", 0))
        if reply_to and not any(m["id"] == reply_to and m["isReplyable"] for m in room.messages):
            raise Refusal(400, data={"error": "reply-to"})
        said = self._world.post(
            room,
            user.login,
            text,
            reply_to=reply_to,
            reference=str(asked.get("referenceId", "")),
            silent=bool(asked.get("silent")),
        )
        self._told(room, said)
        return enveloped(said, 201)

    async def _edit(self, request: Request, user: User) -> Response:
        room, asked = self._room_of(request, user), await _asked(request)
        return enveloped(
            self._world.edit(room, user.login, request.path_params["number"], str(asked.get("message", "")))
        )

    async def _delete(self, request: Request, user: User) -> Response:
        room = self._room_of(request, user)
        return enveloped(self._world.delete(room, user.login, request.path_params["number"]))

    async def _react(self, request: Request, user: User) -> Response:
        room, asked = self._room_of(request, user), await _asked(request)
        number, on = request.path_params["number"], request.method == "POST"
        if request.method == "GET":
            return enveloped(self._world.reactions(room, number))
        emoji = str(asked.get("reaction", ""))
        new = self._world.react(room, user.login, number, emoji, on=on)
        return enveloped(self._world.reactions(room, number), 201 if on and new else 200)

    async def _share(self, request: Request, user: User) -> Response:
        asked = await _asked(request)
        if int(asked.get("shareType", -1)) != 10:
            raise Refusal(400, "Unknown share type")
        path = str(asked.get("path", "")).lstrip("/")
        if path not in user.files:
            raise Refusal(404, "Wrong path, file/folder does not exist")
        room = self._world.room_of(str(asked.get("shareWith", "")), user.login)
        meta: dict[str, Any] = json.loads(str(asked.get("talkMetaData") or "{}"))
        said = share_file(
            self._world, room, user, path, "", str(asked.get("referenceId", "")), int(meta.get("replyTo", 0))
        )
        self._told(room, said)
        shared = {
            "id": str(said["id"] + 100_000),
            "share_type": 10,
            "share_with": room.token,
            "permissions": 19,
            "path": f"/{path}",
        }
        return enveloped(shared, version=request.path_params["version"])

    async def _file(self, request: Request, user: User) -> Response:
        if request.path_params["login"] != user.login:
            raise Refusal(403)
        path = unquote(request.path_params["path"]).strip("/")
        folder = path.rpartition("/")[0]
        match request.method:
            case "MKCOL":
                if path in user.folders:
                    return Response(status_code=405)
                if folder not in user.folders:
                    return Response(status_code=409)
                user.folders.add(path)
                return self._made(201)
            case "PUT":
                if folder not in user.folders:
                    return Response(status_code=409)
                there = path in user.files
                user.files[path] = await request.body()
                return self._made(204 if there else 201)
            case "DELETE":
                return Response(status_code=404 if user.files.pop(path, None) is None else 204)
            case _:
                if path not in user.files:
                    return Response(status_code=404)
                return Response(user.files[path], media_type="application/octet-stream")

    def _made(self, status: int) -> Response:
        number = next(self._world.numbers)
        return Response(
            status_code=status, headers={"oc-fileid": f"{number:08d}emulated", "oc-etag": f'"{number}"'}
        )

    def _room_of(self, request: Request, user: User) -> RoomState:
        return self._world.room_of(request.path_params["token"], user.login)

    @staticmethod
    def _after(room: RoomState, last: int) -> list[dict[str, Any]]:
        return [m for m in room.messages if m["id"] > last]

    @staticmethod
    def _before(room: RoomState, last: int) -> list[dict[str, Any]]:
        return [m for m in room.messages if not last or m["id"] < last]

    def _shown(self, room: RoomState, user: User) -> dict[str, Any]:
        others = [
            self._world.users[m].name for m in room.members if m != user.login and m in self._world.users
        ]
        last: object = []
        if room.messages:
            last = {k: v for k, v in room.messages[-1].items() if not k.startswith("_")}
        return {
            "id": int(room.token, 16) % 100_000,
            "token": room.token,
            "type": room.type,
            "name": room.name,
            "displayName": room.name or ", ".join(others),
            "lastMessage": last,
            "unreadMessages": 0,
            "actorType": "users",
            "actorId": user.login,
            "participantType": 3,
            "hasCall": False,
        }


def share_file(
    world: World, room: RoomState, user: User, path: str, text: str, reference: str = "", reply_to: int = 0
) -> dict[str, Any]:
    """The message that a share makes; every member finds the file below ``Talk``."""
    name, body = path.rpartition("/")[2], user.files[path]
    for login in room.members:
        if login != user.login and login in world.users:
            other = world.users[login]
            other.folders.add("Talk")
            other.files[f"Talk/{name}"] = body
    mime = _mime(name)
    file = {
        "type": "file",
        "id": str(next(world.numbers)),
        "name": name,
        "size": str(len(body)),
        "path": f"Talk/{name}",
        "mimetype": mime,
        "etag": "emulated",
        "permissions": "27",
        "preview-available": "no",
        "link": "http://nextcloud/f/1",
    }
    return world.post(
        room, user.login, text or "{file}", parameters={"file": file}, reference=reference, reply_to=reply_to
    )


def _mime(name: str) -> str:
    kinds = {"png": "image/png", "jpg": "image/jpeg", "txt": "text/plain", "pdf": "application/pdf"}
    return kinds.get(name.rpartition(".")[2].lower(), "application/octet-stream")


async def _asked(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").startswith("application/json"):
        told = await request.json()
        return cast("dict[str, Any]", told) if isinstance(told, dict) else {}
    async with request.form() as form:
        return {**request.query_params, **{name: str(value) for name, value in form.items()}}
