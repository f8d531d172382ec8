"""Loaded by the schemathesis command, by its path."""

import re
import uuid
from typing import Any, cast

import schemathesis

from chamade_mcp.api.once import PATTERN


def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Two requests made at random may bear the same key, which is refused: each gets one of its own."""
    headers: dict[str, object] = case.headers
    for name, key in list(headers.items()):
        if name.lower() == "idempotency-key" and isinstance(key, str) and re.fullmatch(PATTERN, key):
            headers[name] = uuid.uuid4().hex


cast("Any", schemathesis).hook(before_call)
