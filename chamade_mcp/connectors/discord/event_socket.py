"""The Gateway: events over a connection that the gateway opens and takes up again where it broke off.

https://docs.discord.com/developers/events/gateway
"""

import asyncio
import json
import logging
import random
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidURI

from chamade_mcp.connectors.discord.client import TITLE, USER_AGENT, RestApi
from chamade_mcp.connectors.discord.wire import (
    Event,
    Frame,
    Hello,
    Ready,
    Unreadable,
    read,
    read_event,
    read_frame,
)
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connector import AuthNeeded, PlatformUnavailable
from chamade_mcp.kit.http import certificates
from chamade_mcp.kit.rates import Rate, Rates
from chamade_mcp.kit.waiting import race
from chamade_mcp.model.errors import GatewayError

log = logging.getLogger(__name__)

INTENTS: Final = {
    "GUILD_MESSAGES": 1 << 9,
    "GUILD_MESSAGE_REACTIONS": 1 << 10,
    "DIRECT_MESSAGES": 1 << 12,
    "DIRECT_MESSAGE_REACTIONS": 1 << 13,
}
"""Without GUILDS: it would bring all of every server at each start, of which only names are wanted."""
MESSAGE_CONTENT: Final = 1 << 15
CONTENT_IS_OFF: Final = (
    "The Message Content Intent of this bot is off: turn it on in the Developer Portal, on the page Bot,"
    " below Privileged Gateway Intents"
)
_FINAL: Final = {
    4004: "Authentication failed",
    4010: "Invalid shard",
    4011: "The bot is on too many servers for one connection: sharding is required",
    4012: "Discord no longer has this version of the Gateway",
    4013: "Invalid intents",
    4014: CONTENT_IS_OFF,
}
"""Close codes after which nobody may come back."""
_FORGOTTEN: Final = frozenset({4007, 4009})
"""Close codes after which there is no session to take up."""
_BROKEN: Final = 4000
"""What a connection is closed with whose session goes on: after 1000 Discord would end it."""
_MOST_BYTES: Final = 8 * 1024 * 1024
_OPEN_S: Final = 10.0
_HELLO_S: Final = 20.0
_CLOSE_S: Final = 2.0
_AGAIN_S: Final = 2.0
_CONNECTIONS: Final = Rate(10, 60.0)
_FRUITLESS: Final = 2
"""Connections that did not get as far as a session, one after another, before the link counts as down."""


class Op(IntEnum):
    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    RESUME = 6
    RECONNECT = 7
    INVALID_SESSION = 9
    HELLO = 10
    HEARTBEAT_ACK = 11


@dataclass(slots=True)
class Session:
    """With it a connection goes on where another broke off: Discord sends what was missed."""

    id: str = ""
    url: str = ""
    seq: int | None = None
    """Of the last event that is committed."""

    def forget(self) -> None:
        self.id, self.url, self.seq = "", "", None


@dataclass(slots=True)
class _Pulse:
    """Of one connection."""

    socket: ClientConnection
    acknowledged: bool = True
    begun: bool = False
    """It has a session, its own or the one before."""


class EventSocket:
    """`hear` gets each event, and returns once it is committed: only then is the next one read."""

    def __init__(
        self,
        api: RestApi,
        clock: Clock,
        session: Session,
        identity: tuple[str, int],
        hear: Callable[[Event], Awaitable[None]],
    ) -> None:
        """`identity` is the bot's token and the intents it asks for. `session` is kept up to date."""
        self._api = api
        self._clock = clock
        self._session = session
        self._token, self._intents = identity
        self._hear = hear
        self.ready = asyncio.Event()
        """Events come from now on."""

    async def listen(self) -> None:
        """Until it breaks for good, with `AuthNeeded`, or for now, with `PlatformUnavailable`.

        A connection that ends, as each does some day, is followed by another that takes its session up.
        """
        fruitless, turns = 0, Rates(self._clock)
        while fruitless < _FRUITLESS:
            await turns.turn(("connections", _CONNECTIONS))
            pulse = await self._open()
            closing = 1000
            try:
                begun = await self._converse(pulse)
                closing = _BROKEN
            finally:
                await pulse.socket.close(closing)
            fruitless = 0 if begun else fruitless + 1
            if not begun:
                # Discord's rule for a session that it does not take; and it lets one begin in 5 seconds.
                await self._clock.sleep(random.uniform(1.0, 5.0))  # noqa: S311
        raise PlatformUnavailable(f"{TITLE} begins no session")

    async def _open(self) -> _Pulse:
        url = self._session.url or await self._entrance()
        if not url.startswith(("ws:", "wss:") if self._api.unencrypted else "wss:"):
            self._session.url = ""
            raise PlatformUnavailable(f"{TITLE} names a Gateway that is not encrypted")
        try:
            socket = await connect(
                f"{url.rstrip('/')}/?v=10&encoding=json",
                ssl=certificates() if url.startswith("wss:") else None,
                compression=None,  # its buffers would be most of what an idle connection holds
                max_size=_MOST_BYTES,
                open_timeout=_OPEN_S,
                close_timeout=_CLOSE_S,
                ping_interval=None,  # Discord has heartbeats of its own
                user_agent_header=USER_AGENT,
                proxy=None,
            )
        except (OSError, TimeoutError, InvalidHandshake, InvalidMessage, InvalidURI) as error:
            self._session.url = ""  # next time by the front door
            raise PlatformUnavailable(f"{TITLE} cannot be reached ({type(error).__name__})") from None
        return _Pulse(socket)

    async def _entrance(self) -> str:
        entrance = await self._api.entrance()
        starts = entrance.session_start_limit
        if not self._session.id and starts.remaining <= 0:
            # One more, and Discord would void the token.
            raise PlatformUnavailable(
                f"{TITLE} lets this bot begin no more sessions today", retry_after=starts.reset_after / 1000
            )
        return entrance.url

    async def _converse(self, pulse: _Pulse) -> bool:
        """Until another connection is needed; whether this one had a session."""
        try:
            interval_s = await self._hello(pulse)
            if interval_s is not None:
                await self._introduce(pulse)
                for one in await race(self._read(pulse), self._beat(pulse, interval_s)):
                    if not one.cancelled():
                        one.result()
        except ConnectionClosed as closed:
            self._closed(closed.rcvd.code if closed.rcvd else None)
        except Unreadable:
            raise PlatformUnavailable("The server at the address of the Gateway is another") from None
        return pulse.begun

    async def _hello(self, pulse: _Pulse) -> float | None:
        """Seconds between heartbeats; None when another connection is wanted at once."""
        try:
            async with asyncio.timeout(_HELLO_S):
                frame = read_frame(await pulse.socket.recv())
            return None if frame.op == Op.RECONNECT else read(Hello, frame.d).heartbeat_interval / 1000
        except TimeoutError:
            raise PlatformUnavailable(f"{TITLE} does not say hello") from None

    def _closed(self, code: int | None) -> None:
        if code in _FINAL:
            raise AuthNeeded(_FINAL[code])
        if code in _FORGOTTEN:
            self._session.forget()
        log.info("%s closed the connection (%s)", TITLE, code)

    async def _introduce(self, pulse: _Pulse) -> None:
        if self._session.id:
            about = {"session_id": self._session.id, "seq": self._session.seq}
            await _send(pulse.socket, Op.RESUME, {"token": self._token, **about})
            return
        properties = {"os": sys.platform, "browser": "chamade_mcp", "device": "chamade_mcp"}
        about = {"intents": self._intents, "properties": properties}
        await _send(pulse.socket, Op.IDENTIFY, {"token": self._token, **about})

    async def _beat(self, pulse: _Pulse, interval_s: float) -> None:
        """Until Discord no longer answers: a connection may be dead without being closed."""
        await self._clock.sleep(interval_s * random.random())  # noqa: S311 -- all would beat at once otherwise
        while pulse.acknowledged:
            pulse.acknowledged = False
            await _send(pulse.socket, Op.HEARTBEAT, self._session.seq)
            await self._clock.sleep(interval_s)
        log.info("%s does not answer heartbeats: connecting anew", TITLE)

    async def _read(self, pulse: _Pulse) -> None:
        """Until Discord wants another connection."""
        while True:
            try:
                frame = read_frame(await pulse.socket.recv())
            except Unreadable:
                log.warning("a frame of %s's could not be read and is left out", TITLE)
                continue
            match frame.op:
                case Op.DISPATCH:
                    await self._dispatch(pulse, frame)
                case Op.HEARTBEAT:
                    await _send(pulse.socket, Op.HEARTBEAT, self._session.seq)
                case Op.HEARTBEAT_ACK:
                    pulse.acknowledged = True
                case Op.RECONNECT:
                    return
                case Op.INVALID_SESSION:
                    pulse.begun = False
                    if frame.d is not True:
                        self._session.forget()
                    return
                case _:
                    pass

    async def _dispatch(self, pulse: _Pulse, frame: Frame) -> None:
        if frame.t == "READY":
            ready = read(Ready, frame.d)
            self._session.id, self._session.url = ready.session_id, ready.resume_gateway_url
        if frame.t in ("READY", "RESUMED"):
            pulse.begun = True
            self.ready.set()
        else:
            try:
                event = read_event(frame.t, frame.d)
            except Unreadable as error:
                log.warning("an event of %s's could not be read and is left out: %s", TITLE, error)
            else:
                if event is not None:
                    await self._commit(event)
        if frame.s is not None:
            self._session.seq = frame.s

    async def _commit(self, event: Event) -> None:
        """Until it is done: what is not counted yet comes again over the next connection."""
        while True:
            try:
                await self._hear(event)
                return
            except GatewayError as error:
                log.warning("an event waits for the gateway: %s", error.code)
                await self._clock.sleep(error.retry_after or _AGAIN_S)


async def _send(socket: ClientConnection, op: Op, about: Any) -> None:
    await socket.send(json.dumps({"op": op, "d": about}))
