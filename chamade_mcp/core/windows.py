"""Platforms on which an agent may speak only for a while after the person has written: `Manifest.window`.

What is said later is held. The person is asked to write again, once for all that waits, in the way the
platform allows then; when they do, what is held goes out in order before the agent hears of what they wrote.
What nobody wrote for is given up after a while.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row

from chamade_mcp.core import dms, event_log, file_rows, held
from chamade_mcp.core.dm_events import dm_event
from chamade_mcp.core.held import Released
from chamade_mcp.core.inbox_deps import InboxDeps
from chamade_mcp.core.replies import Correspondent
from chamade_mcp.core.supervisor import reaching
from chamade_mcp.kit.chores import forever
from chamade_mcp.kit.clock import SteadyTime
from chamade_mcp.kit.connector import Nudges
from chamade_mcp.kit.manifest import Window
from chamade_mcp.kit.markdown.formats import Format
from chamade_mcp.kit.markdown.render import render
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import GatewayError
from chamade_mcp.model.events import Envelope, Event, EventType
from chamade_mcp.model.facts import DeliveryChanged, MessageReceived
from chamade_mcp.model.ids import ConnectionId, ConversationId, Platform
from chamade_mcp.model.messages import DeliveryState, plain_line

log = logging.getLogger(__name__)

_SWEEP_EVERY_S: Final = 600.0
_PREVIEW: Final = 60
"""Characters of what waits that the person is shown."""


@dataclass(frozen=True, slots=True)
class Flushed:
    """What became of a queue. `messages`: those that were tried, or still are."""

    messages: frozenset[str] = frozenset()
    still_closed: bool = False
    """The platform says that nothing may go out all the same."""


class Windows:
    def __init__(self, deps: InboxDeps) -> None:
        self._d = deps
        self._time = SteadyTime(deps.clock)
        """Or windows would close early or late when the wall clock is set."""
        self._quiet = False
        """Nothing is held, for nobody: then no message of a person's asks for it. Changed by the writer's
        thread alone, in the order of what it commits."""
        self._asking: dict[ConversationId, asyncio.Task[None]] = {}
        self._sweeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Asks those who were not asked, and gives up what is too old, now and from time to time."""
        if self._with_windows():
            failed = "what waits for people was not looked through this time"
            sweeping = forever(self._d.clock, _SWEEP_EVERY_S, self._sweep, failed)
            self._sweeping = asyncio.create_task(sweeping, name="windows")

    async def stop(self) -> None:
        """Who was not asked yet is asked after the next start."""
        tasks = [*self._asking.values(), *([self._sweeping] if self._sweeping else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def now(self) -> datetime:
        """By the clock that windows are counted by."""
        return self._time.now()

    def heard_at(self, platform: Platform) -> datetime | None:
        """When what comes in just now opens a window; None where the platform has none."""
        return None if self.of(platform) is None else self._time.now()

    def of(self, platform: Platform) -> Window | None:
        return self._d.platforms.require(platform).window

    def to_wire(self, conn: Connection, row: Row[Any]) -> dict[str, Any]:
        """A conversation as agents see it."""
        window = self.of(row.platform)
        shown = dms.conversation_to_wire(row)
        if window is None:
            return shown
        return shown | {f"{row.platform}_window": held.to_wire(conn, row, window, self._time.now())}

    def hold_if_closed(self, conn: Connection, whom: Correspondent, new: Sequence[str]) -> bool:
        """Called where messages were just stored; True: they wait for the person."""
        window = self.of(whom.platform)
        if window is None or not new:
            return False
        now, since = self._time.now(), self._d.clock.now()
        held_now = held.hold_if_closed(conn, window, whom.conversation, new, now, since)
        self._quiet = self._quiet and not held_now
        if held_now:
            self._keep_files(conn, window, new)
        return held_now

    def hold_again(self, conn: Connection, place: Row[Any], row: Row[Any], fact: DeliveryChanged) -> bool:
        """Whether a message that was sent waits now, because the platform tells that the window was closed.

        Once only: what the person has written since is an answer to having been asked.
        """
        # By their order, not by time: clocks are set.
        ours = row.direction == dms.OUTBOUND and row.sender_name != dms.GATEWAY
        if not fact.window_closed or not ours or self.of(place.platform) is None:
            return False
        if dms.heard_since(conn, row):
            return False
        return self.hold(conn, place.platform, row.id, (DeliveryState.SENT, DeliveryState.UNKNOWN))

    def hold(
        self, conn: Connection, platform: Platform, message: str, states: Sequence[DeliveryState]
    ) -> bool:
        """The platform says that the window is closed. Whether the message, in one of `states`, waits now."""
        self._quiet = False
        held_now, window = held.hold(conn, message, states, self._d.clock.now()), self.of(platform)
        if held_now and window is not None:
            self._keep_files(conn, window, [message])
        return held_now

    def _keep_files(self, conn: Connection, window: Window, messages: Sequence[str]) -> None:
        """What waits goes out with its files, whenever that is."""
        until = self._d.clock.now() + timedelta(seconds=window.keep_s)
        file_rows.keep_until(conn, held.files_of(conn, messages), until)

    def queued(self, conn: Connection, whom: Correspondent, messages: Sequence[str]) -> dict[str, Any]:
        """What a send is told of messages that wait for the person (CONTRACT section 4.4)."""
        window = self.of(whom.platform)
        hours = round(window.open_s / 3600) if window else 0
        return {
            "reason": f"outside_{hours}h_window",
            "template_sent": held.nudged_for(conn, whom.conversation) in messages,
            "queue_position": held.position(conn, whom.conversation, messages[0]),
        }

    def nothing_waits(self) -> bool:
        """Of a thing that is held at this moment `release` will know."""
        return self._quiet

    def is_late(self, link: tuple[Platform, ConnectionId], fact: MessageReceived) -> bool:
        """Whether a message that is new here is too old to open its window."""
        window = self.of(link[0])
        if window is None or fact.sent_at is None:
            return window is None
        return self._time.now() - fact.sent_at >= timedelta(seconds=window.open_s)

    def opens(
        self, conn: Connection, scope: Scope, link: tuple[Platform, ConnectionId], fact: MessageReceived
    ) -> tuple[ConversationId, bool] | None:
        """The conversation whose window a person's message opens, and whether something waits in it; None for
        one told before, or too late."""
        if self.is_late(link, fact):
            return None
        row = dms.find_by_ref(conn, scope, link, fact.conversation)
        if row is None or dms.heard(conn, row.id, fact.ref):
            return None
        return ConversationId(row.id), held.is_any(conn, row.id)

    def release(
        self, conn: Connection, whom: Correspondent, flushed: Flushed | None
    ) -> tuple[Released, list[Event]]:
        """The person wrote: what is left to be sent, and what the agent has to hear before that."""
        if flushed is None:
            return Released(), []
        if not flushed.still_closed:
            held.forget_nudge(conn, whom.conversation)
        if self._quiet:
            return Released(), []
        released = held.release(conn, whom.conversation, still_closed=flushed.still_closed)
        left = [message for message in released.pending if message not in flushed.messages]
        if not released.out:
            return Released(pending=left), []
        now = self._d.clock.now()
        told = dm_event(EventType.DM_DELIVERED, whom, now, delivered_ids=released.out)
        return Released(released.out, left), [told]

    # --- asking the person ----------------------------------------------------------------------------------

    def ask(self, whom: Correspondent, message: str) -> asyncio.Task[None]:
        """The person should write again, since `message` waits: asks them, once for all that does."""
        place = whom.conversation
        if place not in self._asking:
            self._asking[place] = asyncio.create_task(self._ask(whom, message), name="windows")
            self._asking[place].add_done_callback(lambda _: self._asking.pop(place))
        return self._asking[place]

    async def _ask(self, whom: Correspondent, message: str) -> None:
        place = whom.conversation
        try:
            rows = await self._d.database.read(partial(held.waiting, conversation=place))
            if not rows or await self._d.database.read(partial(held.nudged_for, conversation=place)):
                return
            messages = self._d.messages(*whom.link)
            if isinstance(messages, Nudges):
                with reaching(whom.platform):
                    await messages.nudge(whom.ref, message, _preview(rows[0]))
            asked = partial(held.set_nudged, conversation=place, message=message)
            await self._d.database.write(asked)
        except GatewayError as error:
            log.warning("nobody was asked to write again in %s: %s", place, error)
        except Exception:
            log.exception("nobody was asked to write again in %s", place)

    # --- time -----------------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        for platform in self._with_windows():
            await self.drop(platform)
            for row in await self._d.database.read(partial(held.unasked, platform=platform)):
                await self.ask(Correspondent.of(row), row.id)
        await self._d.database.write(self._listen)

    def _listen(self, conn: Connection) -> None:
        self._quiet = not held.is_any(conn)

    async def drop(self, platform: Platform) -> None:
        """Gives up what nobody wrote for, and tells the agents."""
        while envelopes := await self._d.database.write(partial(self._drop, platform=platform)):
            self._d.hub.announce(envelopes)

    def _drop(self, conn: Connection, platform: Platform) -> list[Envelope]:
        window = self.of(platform)
        if window is None:
            return []
        detail = f"Nobody wrote for {round(window.keep_s / 86400)} days"
        # Of what was stored before the clock was set, and after: what is old by both, and nothing early.
        than = min(self._time.now(), self._d.clock.now()) - timedelta(seconds=window.keep_s)
        rows = held.drop_older(conn, platform, than, detail)
        now = self._d.clock.now()
        failed = str(DeliveryState.FAILED)
        tell = partial(dm_event, EventType.DM_FAILED, at=now, status=failed, detail=detail)
        told = [tell(whom=Correspondent.of(row), message_id=row.id) for row in rows]
        return event_log.append(conn, told, now)

    def _with_windows(self) -> list[Platform]:
        return [m.platform for m in self._d.platforms.manifests if m.window and m.available]


def _preview(row: Row[Any]) -> str:
    """The beginning of what waits, in one line without markup; of files alone their names."""
    said = plain_line(render(row.text, Format.PLAIN)) or ", ".join(a["name"] for a in row.attachments)
    return said if len(said) <= _PREVIEW else f"{said[: _PREVIEW - 1].rstrip()}…"
