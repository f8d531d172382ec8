"""A `GatewayError` as an HTTP answer: RFC 9457 `application/problem+json`."""

import math
from collections.abc import Mapping

from starlette.responses import Response

from chamade_mcp.kit.compact import compact
from chamade_mcp.model.errors import GatewayError

MEDIA_TYPE = "application/problem+json"


def problem_response(
    error: GatewayError, *, request_id: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The wire object of `error` with `Retry-After` and `x-request-id` where they are known."""
    wire = error.to_wire()
    extra = dict(headers or {})
    if request_id is not None:
        wire["request_id"] = request_id
        extra["x-request-id"] = request_id
    if error.retry_after is not None:
        extra["retry-after"] = str(math.ceil(error.retry_after))
    return Response(compact(wire), status_code=error.status, headers=extra, media_type=MEDIA_TYPE)
