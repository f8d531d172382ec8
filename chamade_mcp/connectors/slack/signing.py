"""How Slack signs what it sends: https://docs.slack.dev/authentication/verifying-requests-from-slack"""

import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from chamade_mcp.kit.signature import hmac_sha256

SIGNATURE: Final = "x-slack-signature"
TIMESTAMP: Final = "x-slack-request-timestamp"
_TOLERANCE_S: Final = 300
_SECONDS: Final = re.compile("[0-9]{1,12}")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    return f"v0={hmac_sha256(secret, f'v0:{timestamp}:'.encode(), body)}"


def is_signed(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Whether `body` comes from Slack, and is not older than five minutes."""
    timestamp = headers.get(TIMESTAMP, "")
    if not _SECONDS.fullmatch(timestamp) or abs(now.timestamp() - int(timestamp)) > _TOLERANCE_S:
        return False
    told = headers.get(SIGNATURE, "").encode("utf-8", "replace")
    return hmac.compare_digest(told, signature(secret, timestamp, body).encode())
