"""Every error the gateway tells anybody, one tree, one wire object (docs/errors.md lists the codes).

    GatewayError
    ├── InvalidRequest      400   the request makes no sense as it is
    ├── Unauthenticated     401   who are you
    ├── Forbidden           403   you may not
    │   └── MissingPermission     your credential does not carry it
    ├── NotFound            404   not there, or not yours
    ├── MethodNotAllowed    405
    ├── Conflict            409   not in this state
    ├── Gone                410   was there once
    ├── TooLarge            413
    ├── UnsupportedMedia    415
    ├── RangeNotSatisfiable 416   no byte of the file is in that range
    ├── ValidationFailed    422   fields are wrong; `errors` names each
    ├── LimitReached        429   too many, too often
    ├── Internal            500   our fault
    ├── NotAvailable        501   this gateway cannot do that (yet); `detail` names what is missing
    ├── PlatformRefused     502   the platform said no
    │   └── FetchFailed               a server that a URL names did
    ├── Unavailable         503   try again soon
    └── TimedOut            504   another server took too long

`detail` is the exact text of CONTRACT section 12 where there is one. `code` is UPPER_SNAKE and stable.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Action(StrEnum):
    """What the caller should do next."""

    FIX_ARGUMENT = "fix_argument"
    RETRY = "retry"
    RECONNECT = "reconnect"
    WAIT = "wait"
    ASK_HUMAN = "ask_human"
    GIVE_UP = "give_up"


class Outcome(StrEnum):
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"
    """It may have happened all the same: do not blindly resend."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: where (``attachments.0.url``), what is wrong, in words a model can act on."""

    field: str
    message: str


class GatewayError(Exception):
    """Base of all. `detail` is one sentence for the caller; never a stack trace, never a secret."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    default_code: ClassVar[str] = "INTERNAL"
    default_action: ClassVar[Action] = Action.RETRY

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        action: Action | None = None,
        outcome: Outcome = Outcome.NOT_DONE,
        param: str | None = None,
        errors: Sequence[FieldError] = (),
        platform: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.action = action or self.default_action
        self.outcome = outcome
        self.param = param
        self.errors = tuple(errors)
        self.platform = platform
        self.retry_after = retry_after
        """Seconds after which trying again makes sense."""

    def to_wire(self) -> dict[str, object]:
        """The members of the problem object, without ``request_id``, which the API layer adds."""
        wire: dict[str, object] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "action": str(self.action),
            "outcome": str(self.outcome),
        }
        if self.param is not None:
            wire["param"] = self.param
        if self.errors:
            wire["errors"] = [{"field": e.field, "message": e.message} for e in self.errors]
        if self.platform is not None:
            wire["platform"] = self.platform
        if self.retry_after is not None:
            wire["retry_after"] = self.retry_after
        return wire


class InvalidRequest(GatewayError):
    status, title, default_code, default_action = 400, "Bad request", "INVALID_REQUEST", Action.FIX_ARGUMENT


class Unauthenticated(GatewayError):
    status, title, default_code = 401, "Unauthenticated", "INVALID_API_KEY"
    default_action = Action.ASK_HUMAN

    def __init__(self, detail: str = "Invalid or missing API key", *, code: str | None = None) -> None:
        super().__init__(detail, code=code)


class Forbidden(GatewayError):
    status, title, default_code, default_action = 403, "Forbidden", "FORBIDDEN", Action.ASK_HUMAN


class MissingPermission(Forbidden):
    """`scope` is the permission that the caller's credential lacks; it travels on the wire, too."""

    default_code = "INSUFFICIENT_PERMISSIONS"

    def __init__(self, scope: str, credential: str = "API key") -> None:
        super().__init__(f"This {credential} lacks the permission {scope}")
        self.scope = scope

    def to_wire(self) -> dict[str, object]:
        return {**super().to_wire(), "scope": self.scope}


class NotFound(GatewayError):
    status, title, default_code, default_action = 404, "Not found", "NOT_FOUND", Action.FIX_ARGUMENT


class MethodNotAllowed(GatewayError):
    status, title, default_code = 405, "Method not allowed", "METHOD_NOT_ALLOWED"
    default_action = Action.FIX_ARGUMENT


class Conflict(GatewayError):
    status, title, default_code, default_action = 409, "Conflict", "CONFLICT", Action.WAIT


class Gone(GatewayError):
    status, title, default_code, default_action = 410, "Gone", "GONE", Action.GIVE_UP


class TooLarge(GatewayError):
    status, title, default_code, default_action = 413, "Too large", "BODY_TOO_LARGE", Action.FIX_ARGUMENT


class UnsupportedMedia(GatewayError):
    status, title, default_code = 415, "Unsupported media type", "UNSUPPORTED_MEDIA_TYPE"
    default_action = Action.FIX_ARGUMENT


class RangeNotSatisfiable(GatewayError):
    """`size_bytes` is the size of the whole, which the answer tells."""

    status, title, default_code = 416, "Range not satisfiable", "RANGE_NOT_SATISFIABLE"
    default_action = Action.FIX_ARGUMENT

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"The file has {size_bytes} bytes")
        self.size_bytes = size_bytes


class ValidationFailed(GatewayError):
    status, title, default_code = 422, "Validation failed", "VALIDATION_FAILED"
    default_action = Action.FIX_ARGUMENT

    def __init__(self, errors: Sequence[FieldError], detail: str | None = None) -> None:
        text = detail or "; ".join(f"{e.field}: {e.message}" for e in errors)
        super().__init__(text, errors=errors, param=errors[0].field if errors else None)


class LimitReached(GatewayError):
    status, title, default_code, default_action = 429, "Too many requests", "RATE_LIMITED", Action.WAIT


class Internal(GatewayError):
    def __init__(self, detail: str = "Something went wrong on our side") -> None:
        super().__init__(detail, outcome=Outcome.UNKNOWN)


class NotAvailable(GatewayError):
    status, title, default_code, default_action = 501, "Not available", "NOT_AVAILABLE", Action.GIVE_UP


class PlatformRefused(GatewayError):
    status, title, default_code = 502, "Platform refused", "SEND_FAILED"
    default_action = Action.FIX_ARGUMENT

    def __init__(
        self,
        detail: str = "Failed to send message",
        *,
        code: str | None = None,
        action: Action | None = None,
        platform: str | None = None,
        outcome: Outcome = Outcome.NOT_DONE,
        errors: Sequence[FieldError] = (),
    ) -> None:
        super().__init__(detail, code=code, action=action, platform=platform, outcome=outcome, errors=errors)


class FetchFailed(PlatformRefused):
    """The gateway itself asked a server for what a URL names, and did not get it."""

    title, default_code = "Other server failed", "FETCH_FAILED"


class Unavailable(GatewayError):
    status, title, default_code, default_action = 503, "Unavailable", "UNAVAILABLE", Action.RETRY


class TimedOut(GatewayError):
    status, title, default_code, default_action = 504, "Timed out", "FETCH_TIMED_OUT", Action.RETRY


def call_not_found() -> NotFound:
    return NotFound("Call not found", code="CALL_NOT_FOUND")


def message_not_found() -> NotFound:
    return NotFound("Message not found", code="MESSAGE_NOT_FOUND")


def no_sound_to_record(platform: str) -> InvalidRequest:
    return InvalidRequest("This call has no sound to record", code="CAPABILITY_MISSING", platform=platform)


def no_active_conversation(platform: str) -> NotFound:
    return NotFound(
        "No active conversation",
        code="NO_ACTIVE_CONVERSATION",
        platform=platform,
        action=Action.ASK_HUMAN,
    )


def bridge_not_ready() -> Conflict:
    return Conflict(
        "No active WebSocket connection", code="BRIDGE_NOT_READY", action=Action.RETRY, retry_after=1
    )


def delivery_unknown(platform: str) -> PlatformRefused:
    return PlatformRefused(
        "The platform did not confirm the message in time; it may have arrived",
        code="DELIVERY_UNKNOWN",
        action=Action.WAIT,
        platform=platform,
        outcome=Outcome.UNKNOWN,
    )


def speech_not_configured() -> InvalidRequest:
    return InvalidRequest(
        "Hosted TTS not configured", code="HOSTED_TTS_NOT_CONFIGURED", action=Action.ASK_HUMAN
    )
