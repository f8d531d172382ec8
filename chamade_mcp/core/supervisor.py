"""One task per live connection: opens it, keeps it, opens it again when it broke."""

import asyncio
import logging
import random
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connector import AuthNeeded, Connector, Context, Link, PlatformUnavailable
from chamade_mcp.kit.waiting import race
from chamade_mcp.model.errors import Action, Unavailable
from chamade_mcp.model.ids import Platform

log = logging.getLogger(__name__)

_BACKOFF_CAP_S = 60.0
_HELD_S = 60.0
"""A link that held this long starts its next backoff from the beginning."""


@contextmanager
def reaching(platform: Platform) -> Generator[None]:
    """Around what a link is asked to do: a platform out of reach is told as `Unavailable`."""
    try:
        yield
    except PlatformUnavailable as error:
        raise Unavailable(
            f"{platform} is not reachable at the moment", platform=platform, retry_after=error.retry_after
        ) from error


class Supervisor:
    """Holds the links of the embedded platforms. `link` is what the rest of the core asks for."""

    def __init__(self, connectors: Mapping[Platform, Connector], clock: Clock) -> None:
        self._connectors = connectors
        self._clock = clock
        self._links: dict[Platform, Link] = {}
        self._refused: set[Platform] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = asyncio.Event()

    async def start(self, context: Callable[[Platform], Context]) -> None:
        """Returns once every embedded link has been tried once."""
        tried: list[asyncio.Event] = []
        for platform, connector in self._connectors.items():
            if connector.manifest.embedded:
                first = asyncio.Event()
                tried.append(first)
                keeper = self._keep(platform, connector, context(platform), first)
                self._tasks.append(asyncio.create_task(keeper, name=f"link {platform}"))
        for first in tried:
            await first.wait()

    async def stop(self) -> None:
        self._closing.set()
        await asyncio.gather(*self._tasks)

    def link(self, platform: Platform) -> Link:
        """The live link; `Unavailable` while it is down, with what helps."""
        link = self._links.get(platform)
        if link is not None:
            return link
        if platform in self._refused:
            raise Unavailable(
                f"{platform} no longer accepts its authorisation: connect it again",
                code="RECONNECT_NEEDED",
                action=Action.ASK_HUMAN,
                platform=platform,
            )
        raise Unavailable(f"{platform} is not reachable at the moment", platform=platform, retry_after=2)

    @property
    def links(self) -> Mapping[Platform, Link]:
        return self._links

    async def _keep(
        self, platform: Platform, connector: Connector, context: Context, first: asyncio.Event
    ) -> None:
        failures = 0
        while not self._closing.is_set():
            opened_at: float | None = None
            retry_after: float | None = None
            try:
                async with connector.open(context) as link:
                    opened_at = self._clock.monotonic()
                    self._links[platform] = link
                    first.set()
                    await self._closing.wait()
            except AuthNeeded:
                log.warning("%s no longer accepts its authorisation; connect it again", platform)
                self._refused.add(platform)
                return
            except PlatformUnavailable as error:
                log.warning("%s is unavailable: %s", platform, error)
                retry_after = error.retry_after
            except Exception:  # a broken connector must not stay down for ever, nor stop the others
                log.exception("the link to %s broke", platform)
            finally:
                self._links.pop(platform, None)
                first.set()
            held = opened_at is not None and self._clock.monotonic() - opened_at >= _HELD_S
            failures = 1 if held else failures + 1
            delay = retry_after or random.uniform(0.5, 1.0) * min(_BACKOFF_CAP_S, 2.0 ** min(failures, 10))  # noqa: S311
            await race(self._closing.wait(), self._clock.sleep(delay))
