"""Answers of the API as tool results: the object for programs, one text for models."""

from chamade_mcp.model.errors import Action, Outcome
from chamade_mcp.tools.client import JsonObject, Reply

_NEXT_BY_CODE = {
    "VALIDATION_FAILED": "Mend the named arguments and call again.",
    "CALL_NOT_FOUND": "It is unknown or over; chamade_call_list shows the active calls.",
    "NO_ACTIVE_CONVERSATION": "The person has to write first; chamade_inbox shows who did.",
    "BRIDGE_NOT_READY": "The call is still connecting; try again in a second.",
    "BODY_TOO_LARGE": "Send a smaller file, or a file_id from chamade_file_upload_url.",
    "CALL_NOT_RINGING": "Somebody answered or it is over; look with chamade_call_status.",
    "CALL_LIMIT_REACHED": "Leave a call with chamade_call_leave first.",
    "CAPABILITY_MISSING": "This call cannot do that; chamade_call_status shows its capabilities.",
    "HOSTED_TTS_NOT_CONFIGURED": "Use chamade_call_chat, or send your own audio to the call's text_ws_url.",
    "PLATFORM_NOT_CONNECTED": "Your operator has to connect it; chamade_account shows what is ready.",
    "INVALID_CURSOR": "Take last_message_cursor from chamade_account.",
    "CURSOR_REQUIRED": "Give last_message_cursor, which chamade_account tells.",
    "CONVERSATION_NOT_FOUND": "chamade_inbox lists the conversations.",
    "FILE_NOT_FOUND": "Upload it again with chamade_file_upload_url.",
    "FILE_TOO_LARGE": "Make it smaller or split it.",
    "FETCH_REFUSED": "Upload the file itself with chamade_file_upload_url.",
}
_NEXT_BY_ACTION = {
    Action.FIX_ARGUMENT: "Change the arguments before you call again.",
    Action.RETRY: "Try again.",
    Action.RECONNECT: "Join again with chamade_call_join; you get a new call_id.",
    Action.WAIT: "Wait, then try again.",
    Action.ASK_HUMAN: "Your operator has to put this right; tell them.",
    Action.GIVE_UP: "Do not try again.",
}


def success(reply: Reply) -> JsonObject:
    """A `CallToolResult`. The API's JSON is compact already and goes out as it came."""
    return {
        "content": [{"type": "text", "text": reply.text}],
        "structuredContent": reply.document,
        "isError": False,
    }


def failure(problem: JsonObject) -> JsonObject:
    """A `CallToolResult` with the problem object, and `<detail> (<CODE>). <what to do next>` as text."""
    return {
        "content": [{"type": "text", "text": one_line(problem)}],
        "structuredContent": problem,
        "isError": True,
    }


def one_line(problem: JsonObject) -> str:
    detail = " ".join(str(problem.get("detail") or problem.get("title") or "It failed").split()).rstrip(".")
    return f"{detail} ({problem.get('code', 'UNKNOWN')}). {_next(problem)}"


def _next(problem: JsonObject) -> str:
    if problem.get("outcome") == Outcome.UNKNOWN:
        return "It may have been done all the same: look before you try again."
    by_code = _NEXT_BY_CODE.get(str(problem.get("code")))
    if by_code is not None:
        return by_code
    retry_after = problem.get("retry_after")
    if isinstance(retry_after, int | float) and retry_after > 0:
        return f"Try again in {retry_after:g} s."
    action = problem.get("action")
    return _NEXT_BY_ACTION[Action(action)] if action in _NEXT_BY_ACTION else "Do not try again unchanged."
