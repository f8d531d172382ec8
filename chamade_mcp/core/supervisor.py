"""One task per live connection: opens it, keeps it, opens it again when it broke."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping

from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connector import AuthNeeded, Connector, Context, Link, PlatformUnavailable
from chamade_mcp.model.errors import Unavailable
from chamade_mcp.model.ids import Platform

log = logging.getLogger(__name__)

_BACKOFF_CAP_S = 60.0


class Supervisor:
    """Holds the links of the embedded platforms. `link` is what the rest of the core asks for."""

    def __init__(self, connectors: Mapping[Platform, Connector], clock: Clock) -> None:
        self._connectors = connectors
        self._clock = clock
        self._links: dict[Platform, Link] = {}
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
        """The live link; `Unavailable` while it is down."""
        link = self._links.get(platform)
        if link is None:
            raise Unavailable(f"{platform} is not reachable at the moment", retry_after=2)
        return link

    @property
    def links(self) -> Mapping[Platform, Link]:
        return self._links

    async def _keep(
        self, platform: Platform, connector: Connector, context: Context, first: asyncio.Event
    ) -> None:
        failures = 0
        while not self._closing.is_set():
            try:
                async with connector.open(context) as link:
                    self._links[platform] = link
                    failures = 0
                    first.set()
                    await self._closing.wait()
                    return
            except AuthNeeded:
                log.warning("%s no longer accepts its authorisation; connect it again", platform)
                return
            except PlatformUnavailable as error:
                failures += 1
                delay = error.retry_after or random.uniform(0, min(_BACKOFF_CAP_S, 2.0**failures))  # noqa: S311
                log.warning("%s is unavailable (%s); trying again in %.1f s", platform, error, delay)
                first.set()
                await self._pause(delay)
            finally:
                self._links.pop(platform, None)
                first.set()

    async def _pause(self, seconds: float) -> None:
        closing = asyncio.create_task(self._closing.wait())
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        await asyncio.wait({closing, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (closing, sleeping):
            task.cancel()
