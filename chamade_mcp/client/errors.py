"""What the client raises.

    ChamadeError
    ├── Refused              the gateway answered, and said no
    │   ├── InvalidRequest   400, 405, 413, 415, 422   something in the request is wrong
    │   ├── Unauthenticated  401                       the key is missing, wrong, expired or revoked
    │   ├── BudgetExhausted  402                       the key's budget is used up
    │   ├── Forbidden        403                       the key may not do that
    │   ├── NotFound         404, 410                  not there, not there any more, or not yours
    │   ├── Conflict         409                       not in this state
    │   ├── LimitReached     429                       too many, too often
    │   └── GatewayFailed    5xx                       the gateway, or a platform behind it, could not
    ├── Unreachable          no answer came
    ├── UnexpectedAnswer     an answer came that is none of the gateway's
    └── CallOver             the call has ended, so nothing can be asked in it

Decide by `outcome` first: ``NOT_DONE`` may be tried again where `action` says so; ``UNKNOWN`` may have
happened all the same. `code` is stable; docs/errors.md lists the codes.
"""

import json
import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, cast

from chamade_mcp.model.errors import Action, FieldError, Outcome

_RETRIED_BY_STATUS: Final = (408, 429, 500, 502, 503, 504)
_NOT_BEGUN: Final = (429, 503)
"""Who refuses for now has done nothing."""


class ChamadeError(Exception):
    """Base of all. `detail` is one sentence."""

    def __init__(
        self, detail: str, *, action: Action = Action.GIVE_UP, outcome: Outcome = Outcome.NOT_DONE
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.action = action
        """What helps."""
        self.outcome = outcome
        """Whether the request may have been carried out."""
        self.retry_after: float | None = None
        """Seconds after which trying again makes sense, where that is known."""


class Refused(ChamadeError):
    """The gateway said no. `status` is that of HTTP; `code` is stable and says what happened."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        action: Action = Action.GIVE_UP,
        outcome: Outcome = Outcome.NOT_DONE,
    ) -> None:
        super().__init__(detail, action=action, outcome=outcome)
        self.status = status
        self.code = code
        self.param: str | None = None
        """The first field that is wrong."""
        self.errors: tuple[FieldError, ...] = ()
        """Every field that is wrong, and what is wrong with it."""
        self.platform: str | None = None
        self.request_id: str | None = None
        """Names the request in the gateway's log."""

    def __str__(self) -> str:
        return f"{self.detail} ({self.status} {self.code})"


class InvalidRequest(Refused): ...


class Unauthenticated(Refused): ...


class BudgetExhausted(Refused): ...


class Forbidden(Refused): ...


class NotFound(Refused): ...


class Conflict(Refused): ...


class LimitReached(Refused): ...


class GatewayFailed(Refused): ...


class Unreachable(ChamadeError):
    """No answer. With ``NOT_DONE`` nothing was sent; with ``UNKNOWN`` the connection broke after that."""

    def __init__(self, detail: str, *, outcome: Outcome = Outcome.NOT_DONE) -> None:
        super().__init__(detail, action=Action.RETRY, outcome=outcome)


class UnexpectedAnswer(ChamadeError):
    """Something else than this gateway answers there, or another version of it."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, outcome=Outcome.UNKNOWN)


class CallOver(ChamadeError):
    """The call has ended: make another one."""


_BY_STATUS: Final[Mapping[int, type[Refused]]] = {
    401: Unauthenticated,
    402: BudgetExhausted,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: NotFound,
    429: LimitReached,
}


def refusal(
    status: int,
    code: str,
    detail: str,
    *,
    action: Action = Action.GIVE_UP,
    outcome: Outcome = Outcome.NOT_DONE,
) -> Refused:
    """The class that belongs to `status`."""
    kind = _BY_STATUS.get(status, GatewayFailed if status >= 500 else InvalidRequest)
    return kind(status, code, detail, action=action, outcome=outcome)


def refused(status: int, headers: Mapping[str, str], body: bytes) -> Refused:
    """An answer of HTTP that is no success: a problem object, or what something in between says."""
    problem = _object(body)
    error = refusal(
        status,
        _text(problem, "code") or f"HTTP_{status}",
        _text(problem, "detail") or _text(problem, "title") or _phrase(status),
        action=_action(status, problem.get("action")),
        outcome=_outcome(status, problem.get("outcome")),
    )
    error.param, error.platform = _text(problem, "param"), _text(problem, "platform")
    error.request_id = _text(problem, "request_id") or headers.get("x-request-id")
    error.errors = _fields(problem.get("errors"))
    told = problem.get("retry_after")
    error.retry_after = _retry_after(headers)
    if error.retry_after is None and isinstance(told, int | float) and not isinstance(told, bool):
        error.retry_after = float(told)
    return error


def _object(body: bytes) -> Mapping[str, object]:
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return cast(Mapping[str, object], parsed) if isinstance(parsed, dict) else {}


def _text(problem: Mapping[str, object], name: str) -> str | None:
    value = problem.get(name)
    return value if isinstance(value, str) else None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "No reason given"


def _action(status: int, told: object) -> Action:
    try:
        return Action(str(told))
    except ValueError:
        return Action.RETRY if status in _RETRIED_BY_STATUS else Action.GIVE_UP


def _outcome(status: int, told: object) -> Outcome:
    try:
        return Outcome(str(told))
    except ValueError:
        return Outcome.NOT_DONE if status < 500 or status in _NOT_BEGUN else Outcome.UNKNOWN


def _fields(told: object) -> tuple[FieldError, ...]:
    if not isinstance(told, list):
        return ()
    entries = [cast(Mapping[str, object], e) for e in cast(list[object], told) if isinstance(e, dict)]
    return tuple(FieldError(str(e.get("field", "")), str(e.get("message", ""))) for e in entries)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds. A date is compared with the answer's own, so that nobody's clock need be right."""
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            until, now = (parsedate_to_datetime(date) for date in (value, headers.get("date", "")))
        except ValueError:
            return None
        seconds = (until - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
