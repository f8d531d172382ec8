"""The id by which an answer and our log name one request."""

import random
import re

from starlette.types import Scope

KEY = "chamade.request_id"
"""Where it stands in the ASGI scope."""
_SANE = re.compile(rb"[A-Za-z0-9._-]{1,64}")


def request_id_of(scope: Scope) -> str:
    """The client's own if it is sane, else a new one. Remembered in `scope`: the same for all who ask."""
    known: str | None = scope.get(KEY)
    if known is not None:
        return known
    # Names a request, and keeps no secret: it need not be the operating system's.
    request_id = f"{random.getrandbits(64):016x}"
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE.fullmatch(value.strip()) is not None:
            request_id = value.strip().decode("ascii")
    scope[KEY] = request_id
    return request_id
