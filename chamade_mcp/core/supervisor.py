"""One task per live link: opens it, keeps it, opens it again when it broke.

A platform has one link for everybody where it is embedded or runs a shared bot, and one for each bot that
people brought.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from weakref import WeakValueDictionary

from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connection import Hooked
from chamade_mcp.kit.connector import AuthNeeded, Connector, Context, Link, PlatformUnavailable
from chamade_mcp.kit.waiting import race
from chamade_mcp.model.connections import ConnectionState
from chamade_mcp.model.errors import Action, Unavailable
from chamade_mcp.model.ids import COMMON, ConnectionId, Platform

log = logging.getLogger(__name__)

_BACKOFF_CAP_S = 60.0
_HELD_S = 60.0
"""A link that held this long starts its next backoff from the beginning."""


class reaching:
    """Around what a link is asked to do: a platform out of reach is told as `Unavailable`."""

    # No generator: it stands around every webhook, and would cost more than it does.
    __slots__ = ("_platform",)

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, PlatformUnavailable):
            platform = self._platform
            raise Unavailable(
                f"{platform} is not reachable at the moment", platform=platform, retry_after=error.retry_after
            ) from error


Watcher = Callable[[ConnectionId, ConnectionState, str], Awaitable[None]]
"""Told of each change of a connection's state, with the platform's words where there are any."""


@dataclass(slots=True, eq=False)
class _Held:
    """A link that is held, or tried."""

    platform: Platform
    connection: ConnectionId
    link: Link | None = None
    hooked: Hooked | None = None
    """The link, where its platform calls us: asking a protocol takes as long as reading a webhook."""
    refused: bool = False
    tried: asyncio.Event = field(default_factory=asyncio.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return f"{self.platform} {self.connection}".strip()


class Supervisor:
    """`link` is what the rest of the core asks for. `shared` names the platforms with a shared bot."""

    def __init__(
        self,
        connectors: Mapping[Platform, Connector],
        clock: Clock,
        shared: frozenset[Platform] = frozenset(),
    ) -> None:
        self._connectors = connectors
        self._clock = clock
        self._shared = shared
        self._held: dict[tuple[Platform, ConnectionId], _Held] = {}
        self._opening = WeakValueDictionary[tuple[Platform, ConnectionId], asyncio.Event]()
        """Of links that are down, as long as somebody waits for them."""
        self._closed = False
        self._watcher: Watcher | None = None

    def watch(self, watcher: Watcher) -> None:
        self._watcher = watcher

    async def start(self, context: Callable[[Platform], Context]) -> None:
        """Returns once every link that serves everybody has been tried once."""
        tried = [
            await self.hold(platform, COMMON, context(platform))
            for platform, connector in self._connectors.items()
            if connector.manifest.embedded or platform in self._shared
        ]
        for first in tried:
            await first.wait()

    async def stop(self) -> None:
        self._closed = True
        await asyncio.gather(*(self._let_go(held) for held in list(self._held.values())))

    async def hold(
        self, platform: Platform, connection: ConnectionId, context: Context | None
    ) -> asyncio.Event:
        """From now on there is such a link, in the place of the one that is held already, if any; the event
        is set once it has been tried. Without a context it stays down: connecting it again is for people.

        Not to be called twice at a time for one link.
        """
        before = self._held.get((platform, connection))
        if before is not None:  # found until the new one is there: who asks meanwhile may try again
            await self._let_go(before)
        held = _Held(platform, connection, refused=context is None)
        if self._closed or context is None:
            held.tried.set()
        if not self._closed:
            self._held[platform, connection] = held
            if context is not None:
                held.task = asyncio.create_task(self._keep(held, context), name=f"link {held.name}")
        return held.tried

    async def drop(self, platform: Platform, connection: ConnectionId) -> None:
        """Closes a link for good; one that is not held is none."""
        held = self._held.pop((platform, connection), None)
        if held is not None:
            await self._let_go(held)

    def link(self, platform: Platform, connection: ConnectionId = COMMON) -> Link:
        """The live link; `Unavailable` while it is down, with what helps."""
        held = self._held.get((platform, connection))
        if held is not None and held.link is not None:
            return held.link
        raise self._down(platform, connection, held)

    def hooked(self, platform: Platform, connection: ConnectionId) -> Hooked | None:
        """The same for a webhook; None where the platform has none."""
        held = self._held.get((platform, connection))
        if held is not None and held.link is not None:
            return held.hooked
        raise self._down(platform, connection, held)

    def opening(self, platform: Platform, connection: ConnectionId) -> asyncio.Event | None:
        """Set once the link, which is down, is up; None where it is up."""
        held = self._held.get((platform, connection))
        if held is not None and held.link is not None:
            return None
        return self._opening.setdefault((platform, connection), asyncio.Event())

    @staticmethod
    def _down(platform: Platform, connection: ConnectionId, held: _Held | None) -> Unavailable:
        if held is None and connection != COMMON:
            return Unavailable(
                f"This {platform} connection was removed",
                code="CONNECTION_REMOVED",
                action=Action.GIVE_UP,
                platform=platform,
            )
        if held is not None and held.refused:
            return Unavailable(
                f"{platform} no longer accepts its authorisation: connect it again",
                code="RECONNECT_NEEDED",
                action=Action.ASK_HUMAN,
                platform=platform,
            )
        return Unavailable(f"{platform} is not reachable at the moment", platform=platform, retry_after=2)

    def holds(self, platform: Platform, connection: ConnectionId) -> bool:
        """Whether there is such a link, live or not."""
        return (platform, connection) in self._held

    @property
    def links(self) -> Mapping[Platform, Link]:
        """The live ones that serve everybody."""
        return {
            platform: held.link
            for (platform, connection), held in self._held.items()
            if connection == COMMON and held.link is not None
        }

    @staticmethod
    async def _let_go(held: _Held) -> None:
        held.closing.set()
        if held.task is not None:
            if held.link is None:
                held.task.cancel()  # a platform that does not answer would be waited for otherwise
            held.link = held.hooked = None  # nothing is begun on it any more
            await asyncio.wait({held.task})

    async def _keep(self, held: _Held, context: Context) -> None:
        connector = self._connectors[held.platform]
        failures = 0
        while not held.closing.is_set():
            opened_at: float | None = None
            retry_after: float | None = None
            state, words = ConnectionState.UNAVAILABLE, ""
            try:
                async with connector.open(context) as link:
                    opened_at = self._clock.monotonic()
                    held.link = link
                    held.hooked = link if isinstance(link, Hooked) else None
                    held.tried.set()
                    if opening := self._opening.pop((held.platform, held.connection), None):
                        opening.set()
                    await self._tell(held, ConnectionState.OK)
                    await held.closing.wait()
            except AuthNeeded as error:
                log.warning("%s no longer accepts its authorisation; connect it again", held.name)
                held.refused = True
                state, words = ConnectionState.AUTH_NEEDED, str(error)
            except PlatformUnavailable as error:
                log.warning("%s is unavailable: %s", held.name, error)
                retry_after, words = error.retry_after, str(error)
            except Exception:  # a broken connector must not stay down for ever, nor stop the others
                log.exception("the link to %s broke", held.name)
            finally:
                held.link = held.hooked = None
                held.tried.set()
            if held.closing.is_set():
                return
            await self._tell(held, state, words)
            if held.refused:
                return
            lasted = opened_at is not None and self._clock.monotonic() - opened_at >= _HELD_S
            failures = 1 if lasted else failures + 1
            delay = retry_after or random.uniform(0.5, 1.0) * min(_BACKOFF_CAP_S, 2.0 ** min(failures, 10))  # noqa: S311
            await race(held.closing.wait(), self._clock.sleep(delay))

    async def _tell(self, held: _Held, state: ConnectionState, words: str = "") -> None:
        if self._watcher is None or held.connection == COMMON:
            return
        try:
            await self._watcher(held.connection, state, words)
        except Exception:  # what is noted of a link must not break it
            log.exception("the state of %s was not noted", held.name)
