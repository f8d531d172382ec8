"""What is written in calls: sent, told, and kept for the history."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection

from chamade_mcp.core import call_rows, event_log, records
from chamade_mcp.core.call_deps import CallDeps
from chamade_mcp.core.call_rows import Written
from chamade_mcp.core.live import LiveCall
from chamade_mcp.core.supervisor import reaching
from chamade_mcp.core.wording import worded
from chamade_mcp.kit.waiting import to_the_end
from chamade_mcp.model.errors import GatewayError, PlatformRefused, bridge_not_ready, delivery_unknown
from chamade_mcp.model.events import Envelope, EventType
from chamade_mcp.model.facts import ChatPosted
from chamade_mcp.model.ids import new_message_id
from chamade_mcp.model.messages import DeliveryState, Outgoing, plain_line, plain_text

log = logging.getLogger(__name__)


class CallChat:
    def __init__(self, deps: CallDeps) -> None:
        self._d = deps

    async def send(
        self,
        live: LiveCall,
        text: str,
        sender_name: str,
        attachments: Sequence[Mapping[str, Any]],
        message_id: str | None,
    ) -> dict[str, object]:
        """`message_id` is the one it must bear; the same twice is said once."""
        leg = live.leg
        if leg is None:
            raise bridge_not_ready()
        said = worded(self._d.platforms.require(live.record.platform), text)
        files = await self._d.files.attach(live.record.scope, attachments)
        message = message_id or new_message_id(self._d.clock.now())
        with reaching(live.record.platform):
            delivery = await leg.send_chat(Outgoing(message, said, sender_name, files, text))
        if delivery.state is DeliveryState.FAILED:
            raise PlatformRefused(platform=live.record.platform)
        if delivery.state is DeliveryState.UNKNOWN:
            raise delivery_unknown(live.record.platform)
        by = sender_name or live.record.agent_name
        await self._keep(live, Written(message, True, by, text, [file.to_wire() for file in files]))
        return {"status": str(delivery.state), "message_id": message}

    async def posted(self, live: LiveCall, fact: ChatPosted) -> None:
        """Somebody wrote: the agent is told, and it is kept, in one."""
        now = self._d.clock.now()
        by, text = plain_line(fact.sender.name), plain_text(fact.text)
        files = [file.to_wire() for file in fact.attachments]
        told = records.event(
            live.record,
            EventType.CALL_CHAT,
            now,
            sender=by,
            text=text,
            attachments=files,
            message_id=fact.ref,
        )
        written = Written(fact.ref, False, by, text, files)

        def store(conn: Connection) -> list[Envelope]:
            call_rows.add(conn, live.record, written, now)
            return event_log.append(conn, [told], now)

        self._d.hub.announce(await to_the_end(self._d.database.write(store)))

    async def _keep(self, live: LiveCall, written: Written) -> None:
        """What the people have read already: a busy database takes it from the history alone."""
        add = partial(call_rows.add, record=live.record, written=written, at=self._d.clock.now())
        try:
            await to_the_end(self._d.database.write(add))
        except GatewayError as error:
            log.warning("a message of %s is not in its history: %s", live.record.id, error)
