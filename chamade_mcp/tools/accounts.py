"""The account tool."""

from typing import TypedDict

from chamade_mcp.model.access import Caller
from chamade_mcp.tools.client import CoreClient, Reply
from chamade_mcp.tools.schema import arguments as input_schema
from chamade_mcp.tools.schema import list_of, nullable, result, text
from chamade_mcp.tools.tool import Hints, Tool


class Nothing(TypedDict):
    pass


async def _account(core: CoreClient, caller: Caller, _: Nothing) -> Reply:
    return await core.account(caller)


_PLATFORM = result(
    {
        "status": text("ok, not_configured, or a sentence that says what is missing."),
        "capabilities": list_of(
            {"type": "string"}, "Such as audio_in, audio_out, read, write, typing, files."
        ),
        "files": {"type": "boolean"},
    },
    required=("status", "capabilities"),
)

TOOLS = (
    Tool(
        name="chamade_account",
        title="Account and platform status",
        description=(
            "Call this first, once. Tells which platforms are connected and what each can do, which "
            "features are ready or byok (the owner must add a speech provider's key), how many calls may "
            "run at once, which handle on each platform is you and which is your operator, and the "
            "last_message_cursor to start chamade_inbox with. Also look here when a tool says that "
            "something is not connected."
        ),
        arguments=Nothing,
        input_schema=input_schema(),
        output_schema=result(
            {
                "plan": {"type": "string"},
                "features": {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "description": "ready or byok per feature.",
                },
                "features_note": {"type": "string"},
                "platforms": {"type": "object", "additionalProperties": _PLATFORM},
                "concurrent_calls": {"type": "object", "description": "Active calls and the limit."},
                "identities": {
                    "type": "object",
                    "description": "Per platform: who is the agent (you), who the operator.",
                },
                "last_message_cursor": nullable(text("Start chamade_inbox with it.")),
            },
            required=("features", "platforms", "last_message_cursor"),
        ),
        hints=Hints(read_only=True, idempotent=True, open_world=False),
        run=_account,
    ),
)
