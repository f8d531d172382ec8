"""The emulated Gateway: sessions of bots, over as many connections as they take."""

import asyncio
import json
import uuid
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any, Final, cast

from starlette.websockets import WebSocket, WebSocketDisconnect

from chamade_mcp.connectors.discord.emulated_world import CONTENT_FLAG, Bot, Channel, World

_CONTENT: Final = 1 << 15
_PRIVILEGED: Final = 1 << 1 | 1 << 8
_GUILDS: Final = 1
_ALL: Final = (1 << 26) - 1
_MOST_BYTES: Final = 4096
_MOST_FRAMES: Final = 120
_PER_S: Final = 60.0
_INTENT_OF: Final = {"MESSAGE_REACTION_ADD": (10, 13), "MESSAGE_REACTION_REMOVE": (10, 13)}
"""Bits on servers and in direct messages; else those of messages."""


class Closed(Exception):
    """The Gateway ends a connection."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True, eq=False)
class Session:
    id: str
    bot: Bot
    intents: int
    seq: int = 0
    sent: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """All its events, for who comes back."""
    socket: WebSocket | None = None
    delivered: int = 0
    """The last event that went out over it."""

    def has(self, bit: int) -> bool:
        return bool(self.intents >> bit & 1)


class Gateway:
    def __init__(self, world: World) -> None:
        self._world = world
        self.heartbeat_s = 41.25
        self.sessions: dict[str, Session] = {}
        self.identified: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        """What bots said of themselves, by token."""
        self.resumed = 0
        self.beats = 0
        self.mute = False
        """Connections stay open, and nothing comes over them any more."""
        self.identify_pause_s = 0.0
        """Discord's is 5: sooner, who identifies again is sent away."""
        self._identified_at: dict[str, float] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[None]] = set()

    # --- what happens ---------------------------------------------------------------------------------------

    def tell(self, channel: Channel, name: str, about: dict[str, Any]) -> None:
        """Tells all bots that may know it."""
        place = {"guild_id": channel.guild.id} if channel.guild else {}
        bit = _INTENT_OF.get(name, (9, 12))[0 if channel.guild else 1]
        for session in self._live():
            if session.has(bit) and self._world.sees(session.bot, channel):
                self.dispatch(session, name, self._shown(session, channel, {**about, **place}))

    def tell_bot(self, bot: Bot, name: str, about: dict[str, Any]) -> None:
        for session in self._live():
            if session.bot is bot:
                self.dispatch(session, name, about)

    def dispatch(self, session: Session, name: str, about: dict[str, Any]) -> None:
        session.seq += 1
        frame = {"op": 0, "d": about, "s": session.seq, "t": name}
        session.sent.append(frame)
        self._later(self._push(session, frame))

    def _shown(self, session: Session, channel: Channel, about: dict[str, Any]) -> dict[str, Any]:
        """Without the words, where the bot may not read them."""
        author = about.get("author")
        if author is None or channel.between or session.has(15) or author["id"] == session.bot.id:
            return about
        if any(user["id"] == session.bot.id for user in about["mentions"]):
            return about
        return {**about, "content": "", "attachments": [], "embeds": [], "components": []}

    # --- what tests do --------------------------------------------------------------------------------------

    def open_sockets(self, token: str) -> int:
        return len(self._sockets(token))

    async def close(self, token: str, code: int, *, forget: bool = False) -> None:
        """Ends a bot's connections; with `forget`, its sessions too."""
        mine = [one for one in self._live() if one.bot.token == token]
        if forget:
            self.forget(token)
        for session in mine:
            socket, session.socket = session.socket, None
            if socket is not None:
                await socket.close(code)

    def forget(self, token: str) -> None:
        bot = self._world.bots[token]
        self.sessions = {ref: one for ref, one in self.sessions.items() if one.bot is not bot}

    async def say(self, token: str, op: int, about: Any = None) -> None:
        """Sends a frame that is no event."""
        for socket in self._sockets(token):
            await socket.send_text(json.dumps({"op": op, "d": about, "s": None, "t": None}))

    async def scribble(self, token: str, frame: str) -> None:
        """Sends what Discord would not."""
        for socket in self._sockets(token):
            await socket.send_text(frame)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- a connection ---------------------------------------------------------------------------------------

    async def serve(self, socket: WebSocket) -> None:
        if self._world.down:
            await socket.close()
            return
        await socket.accept()
        if socket.query_params.get("v") != "10" or socket.query_params.get("encoding") != "json":
            await socket.close(4012)
            return
        session: Session | None = None
        frames: deque[float] = deque()
        try:
            await socket.send_json(
                {"op": 10, "d": {"heartbeat_interval": int(self.heartbeat_s * 1000)}, "s": None, "t": None}
            )
            while True:
                raw = await socket.receive_text()
                self._count(frames)
                session = await self._take(socket, session, _frame(raw)) or session
        except Closed as closed:
            await socket.close(closed.code)
        except WebSocketDisconnect as left:
            if session is not None and session.socket is socket and left.code in (1000, 1001):
                self.sessions.pop(session.id, None)  # a bot that says goodbye goes offline
        except RuntimeError:
            pass  # closed by a test
        finally:
            if session is not None and session.socket is socket:
                session.socket = None

    async def _take(self, socket: WebSocket, session: Session | None, told: dict[str, Any]) -> Session | None:
        match told.get("op"):
            case 1:
                self.beats += 1
                if not self.mute:
                    await socket.send_json({"op": 11, "d": None, "s": None, "t": None})
            case 2:
                return await self._identify(socket, session, _object(told.get("d")))
            case 6:
                return await self._resume(socket, session, _object(told.get("d")))
            case 3 | 4 | 8:
                if session is None:
                    raise Closed(4003)
            case _:
                raise Closed(4001)
        return None

    async def _identify(
        self, socket: WebSocket, session: Session | None, about: dict[str, Any]
    ) -> Session | None:
        if session is not None:
            raise Closed(4005)
        token, intents = about.get("token"), about.get("intents")
        bot = self._world.bots.get(str(token).removeprefix("Bot "))
        if bot is None:
            raise Closed(4004)
        if not isinstance(intents, int) or intents & ~_ALL:
            raise Closed(4013)
        if intents & _PRIVILEGED or (intents & _CONTENT and not bot.flags & CONTENT_FLAG):
            raise Closed(4014)
        now = self._world.clock.monotonic()
        if now - self._identified_at.get(bot.token, -1e9) < self.identify_pause_s:
            await socket.send_json({"op": 9, "d": False, "s": None, "t": None})
            return None
        self._identified_at[bot.token] = now
        bot.starts_left -= 1
        self.identified[bot.token].append(about)
        made = Session(uuid.uuid4().hex, bot, intents, socket=socket)
        self.sessions[made.id] = made
        url = self._world.base.replace("http", "ws", 1)
        guilds = [guild for guild in self._world.guilds.values() if bot.id in guild.members]
        ready = {
            "v": 10, "user": bot.to_wire(), "session_id": made.id, "resume_gateway_url": f"{url}/resume",
            "guilds": [{"id": guild.id, "unavailable": True} for guild in guilds],
            "application": {"id": bot.app_id, "flags": bot.flags}, "private_channels": [],
        }  # fmt: skip
        self.dispatch(made, "READY", ready)
        if intents & _GUILDS:
            for guild in guilds:
                self.dispatch(made, "GUILD_CREATE", self._guild(guild.id, bot))
        return made

    async def _resume(
        self, socket: WebSocket, session: Session | None, about: dict[str, Any]
    ) -> Session | None:
        if session is not None:
            raise Closed(4005)
        if self._world.bots.get(str(about.get("token")).removeprefix("Bot ")) is None:
            raise Closed(4004)
        known = self.sessions.get(str(about.get("session_id")))
        if known is None or known.bot.token != about.get("token"):
            await socket.send_json({"op": 9, "d": False, "s": None, "t": None})
            return None
        seq = about.get("seq")
        if not isinstance(seq, int) or seq > known.seq:
            raise Closed(4007)
        self.resumed += 1
        async with self._turns[known.id]:
            for frame in known.sent[seq:]:
                await socket.send_json(frame)
            known.socket, known.delivered = socket, known.seq
        self.dispatch(known, "RESUMED", {})
        return known

    # --- inside --------------------------------------------------------------------------------------------

    def _guild(self, ref: str, bot: Bot) -> dict[str, Any]:
        guild = self._world.guilds[ref]
        channels = [one for one in self._world.channels.values() if one.guild is guild]
        told: dict[str, Any] = {"threads": [], "channels": [], **guild.to_wire()}
        for channel in channels:
            told["threads" if channel.parent else "channels"].append(self._world.channel_wire(channel))
        member = {"user": bot.to_wire(), **self._world.member(guild, bot.id)}
        told |= {"members": [member], "joined_at": self._world.stamp(), "large": False,
                 "member_count": len(guild.members), "soundboard_sounds": []}  # fmt: skip
        lists = ("voice_states", "presences", "stage_instances", "guild_scheduled_events")
        return told | {name: list[Any]() for name in lists}

    def _live(self) -> list[Session]:
        return list(self.sessions.values())

    def _sockets(self, token: str) -> list[WebSocket]:
        return [one.socket for one in self._live() if one.bot.token == token and one.socket is not None]

    def _count(self, frames: deque[float]) -> None:
        now = self._world.clock.monotonic()
        while frames and frames[0] < now - _PER_S:
            frames.popleft()
        frames.append(now)
        if len(frames) > _MOST_FRAMES:
            raise Closed(4008)

    async def _push(self, session: Session, frame: dict[str, Any]) -> None:
        """In the order of the events; who has no connection now gets it on coming back."""
        async with self._turns[session.id]:
            if session.socket is None or self.mute or frame["s"] <= session.delivered:
                return
            session.delivered = frame["s"]
            try:
                await session.socket.send_json(frame)
            except (WebSocketDisconnect, RuntimeError):
                session.socket = None

    def _later(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _frame(raw: str) -> dict[str, Any]:
    if len(raw.encode()) > _MOST_BYTES:
        raise Closed(4002)
    try:
        return _object(json.loads(raw))
    except ValueError:
        raise Closed(4002) from None


def _object(told: Any) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise Closed(4002)
    return cast("dict[str, Any]", told)
