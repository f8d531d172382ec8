"""What can go wrong on the way to the gateway, and how the person and the model are told.

The words of `action` and `outcome` are those of the gateway's own errors (docs/errors.md there).
"""

import json
import math
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from time import time
from typing import Final, cast

from chamade_mcp_shim import messages
from chamade_mcp_shim.messages import Document, Id

NOT_DONE: Final = "not_done"
UNKNOWN: Final = "unknown"
_RPC_NOT_DONE: Final = -32010
_RPC_UNKNOWN: Final = -32011
_RPC_REFUSED: Final = -32012
_REFUSED_FOR_NOW: Final = (429, 503)
_MOST_DETAIL: Final = 300


@dataclass(eq=False)
class Failed(Exception):
    """A message that came to nothing, or nobody knows what it came to."""

    code: str
    detail: str
    """One sentence without its full stop."""
    action: str
    outcome: str = NOT_DONE
    again: bool = False
    """Trying again may help."""
    status: int | None = None
    retry_after: float | None = None
    more: Document | None = None
    """Members of the server's own error object, for the model."""

    def text(self) -> str:
        """What happened and what a person can do about it."""
        advice = {
            401: ": check CHAMADE_API_KEY; a new key is made on the gateway's dashboard",
            403: ": the key may not do that; see its permissions on the gateway's dashboard",
            404: ": is CHAMADE_URL (or CHAMADE_MCP_URL) the gateway's address?",
        }
        return self.detail + (advice.get(self.status, "") if self.status else "")

    def unsure(self, may_repeat: bool) -> "Failed":
        """The same, said of a request that has perhaps been done."""
        if self.outcome != UNKNOWN or may_repeat:
            return self
        detail = f"{self.detail}. The outcome is unknown: it may have been done. Look before sending it again"
        return replace(self, code="OUTCOME_UNKNOWN", detail=detail, action="wait")

    def line(self, id_: Id | None) -> bytes:
        """The JSON-RPC error for a request."""
        data: Document = dict(self.more or {})
        data |= {"code": self.code, "action": self.action, "outcome": self.outcome}
        if self.status is not None:
            data["status"] = self.status
        if self.retry_after is not None:
            data["retry_after"] = self.retry_after
        number = _RPC_UNKNOWN if self.outcome == UNKNOWN else _RPC_NOT_DONE if self.again else _RPC_REFUSED
        return error_line(id_, number, f"{self.text()}.", data)


def error_line(id_: Id | None, number: int, text: str, data: Document | None = None) -> bytes:
    error: Document = {"code": number, "message": text}
    if data:
        error["data"] = data
    return messages.line(messages.dump({"jsonrpc": "2.0", "id": id_, "error": error}))


def of(error: Exception) -> Failed:
    """A mistake of this program is no reason to leave a request without an answer."""
    if isinstance(error, Failed):
        return error
    return Failed("SHIM_FAULT", f"The shim has failed: {error!r}", "ask_human", UNKNOWN)


def unreachable(where: str, reason: str, *, for_good: bool = False) -> Failed:
    """Nothing was sent."""
    detail = f"The gateway at {where} cannot be reached: {reason}"
    return Failed("UNREACHABLE", detail, "ask_human" if for_good else "wait", again=not for_good)


def broken(where: str, reason: str) -> Failed:
    """Something was sent, and the answer did not come or not to its end."""
    return Failed(
        "CONNECTION_LOST", f"The gateway at {where} went away: {reason}", "retry", UNKNOWN, again=True
    )


def no_mcp(where: str, reason: str, status: int) -> Failed:
    detail = f"What answers at {where} is no MCP endpoint ({reason}); check CHAMADE_URL or CHAMADE_MCP_URL"
    return Failed("NOT_MCP", detail, "ask_human", status=status)


def refused(where: str, status: int, headers: dict[str, str], body: bytes) -> Failed:
    """An answer of HTTP that says no: `application/problem+json`, a JSON-RPC error or anything."""
    if 300 <= status < 400:
        target = headers.get("location", "nowhere")
        detail = f"{where} redirects to {target}; set CHAMADE_URL or CHAMADE_MCP_URL to where it leads"
        return Failed("REDIRECTED", detail, "ask_human", status=status)
    problem = _object(body)
    if isinstance(error := problem.get("error"), dict):
        problem = {"detail": cast(Document, error).get("message")}
    code = problem.get("code")
    detail = problem.get("detail") or problem.get("title") or "no reason given"
    action = problem.get("action")
    outcome = _outcome(status, problem.get("outcome"))
    kept = ("param", "errors", "platform", "request_id")
    return Failed(
        code if isinstance(code, str) else f"HTTP_{status}",
        f"The gateway at {where} says {status}: {_short(str(detail))}",
        action if isinstance(action, str) else _action(status),
        outcome,
        again=status in _REFUSED_FOR_NOW or (status >= 500 and status != 501),
        status=status,
        retry_after=retry_after(headers.get("retry-after")),
        more={name: problem[name] for name in kept if name in problem},
    )


def retry_after(value: str | None) -> float | None:
    """Seconds, from a header that holds seconds or a date."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time()
        except ValueError:
            return None
    return max(0.0, round(seconds, 3)) if math.isfinite(seconds) else None


def _outcome(status: int, told: object) -> str:
    """Who refuses for now has done nothing, and neither has who finds fault with the request."""
    if status in _REFUSED_FOR_NOW:
        return UNKNOWN if told == UNKNOWN else NOT_DONE
    return NOT_DONE if status < 500 or status == 501 else UNKNOWN


def _action(status: int) -> str:
    if status in (401, 403, 404):
        return "ask_human"
    if status in _REFUSED_FOR_NOW:
        return "wait"
    return "retry" if status >= 500 else "fix_argument"


def _object(body: bytes) -> Document:
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return cast(Document, parsed) if isinstance(parsed, dict) else {}


def _short(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= _MOST_DETAIL else f"{text[:_MOST_DETAIL]}…"
