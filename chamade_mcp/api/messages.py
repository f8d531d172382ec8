"""Messages that are there already: send again, edit, take back, react."""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from chamade_mcp.api.calls import DoneWire
from chamade_mcp.api.fields import ONE_LINE, Body, Text
from chamade_mcp.api.inbox import SentWire
from chamade_mcp.api.operation import Answer, Asked, Group, Operation, Reply
from chamade_mcp.core.inbox import Inbox
from chamade_mcp.model.access import Permission

_CHANGING: Final = {
    400: ("CAPABILITY_MISSING",),
    404: ("MESSAGE_NOT_FOUND",),
    409: ("MESSAGE_NOT_SENT",),
    502: ("SEND_FAILED", "DELIVERY_UNKNOWN"),
    503: ("UNAVAILABLE", "RECONNECT_NEEDED"),
}
_OWN: Final = {**_CHANGING, 403: ("NOT_OWN_MESSAGE",)}
_SAYING: Final = {409: ("MESSAGE_NOT_SENT", "CONVERSATION_CLOSED")}
_DONE: Final = {"status": "ok"}


class EditBody(Body):
    text: Annotated[Text, Field(description="All of it, as Markdown")]


class ReactBody(Body):
    emoji: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=ONE_LINE)]
    remove: Annotated[bool, Field(description="Take it away")] = False


@dataclass(frozen=True, slots=True)
class MessageGroup:
    inbox: Inbox

    async def retry(self, asked: Asked[None, None]) -> Answer:
        result = await self.inbox.retry(asked.principal, asked.ids["message_id"])
        return Reply(result.status, result.body)

    async def edit(self, asked: Asked[EditBody, None]) -> Answer:
        await self.inbox.changes.edit(asked.principal, asked.ids["message_id"], asked.body.text)
        return _DONE

    async def delete(self, asked: Asked[None, None]) -> Answer:
        await self.inbox.changes.delete(asked.principal, asked.ids["message_id"])
        return _DONE

    async def react(self, asked: Asked[ReactBody, None]) -> Answer:
        body, message = asked.body, asked.ids["message_id"]
        await self.inbox.changes.react(asked.principal, message, body.emoji, on=not body.remove)
        return _DONE

    def group(self) -> Group:
        message = Permission.MESSAGE
        return Group(
            "Messages",
            "What was said already. What a platform can of this, `GET /api/platforms` lists as `messages`.",
            (
                Operation(
                    "POST",
                    "/api/messages/{message_id}/retry",
                    "Send again what failed, or may have",
                    self.retry,
                    message,
                    reply=SentWire,
                    also={202: "Stored; it goes out when the platform allows, or can be reached"},
                    errors={
                        409: ("MESSAGE_NOT_FAILED", "CONVERSATION_CLOSED"),
                        502: ("SEND_FAILED", "DELIVERY_UNKNOWN"),
                        503: ("UNAVAILABLE", "RECONNECT_NEEDED"),
                    },
                    notes="Under the same id: a platform that has it already does not show it twice.",
                ),
                Operation(
                    "PATCH",
                    "/api/messages/{message_id}",
                    "Change what the agent said",
                    self.edit,
                    message,
                    body=EditBody,
                    reply=DoneWire,
                    errors={**_OWN, **_SAYING},
                    notes="The person sees it changed once this is answered. Attachments stay.",
                ),
                Operation(
                    "DELETE",
                    "/api/messages/{message_id}",
                    "Take back what the agent said",
                    self.delete,
                    message,
                    reply=DoneWire,
                    errors=_OWN,
                    notes="One that is gone already is no error. What failed goes from the inbox alone.",
                ),
                Operation(
                    "POST",
                    "/api/messages/{message_id}/react",
                    "Put an emoji on a message, or take it away",
                    self.react,
                    message,
                    body=ReactBody,
                    reply=DoneWire,
                    errors={**_CHANGING, **_SAYING},
                    notes="On anybody's message; either twice is harmless. What platforms take differs.",
                ),
            ),
        )
