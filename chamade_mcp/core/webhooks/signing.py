"""How a receiver knows that a webhook comes from here: headers of Standard Webhooks (standardwebhooks.com).

The signature is HMAC-SHA256, under the bytes that the secret stands for, of id, timestamp and body.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signed_headers(message: str, at: datetime, body: bytes, secrets_: Sequence[str]) -> dict[str, str]:
    """One signature for each secret: while one takes the place of another, both are believed."""
    stamp = str(int(at.timestamp()))
    return {
        "webhook-id": message,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(_signature(message, stamp, body, secret) for secret in secrets_),
    }


def _signature(message: str, stamp: str, body: bytes, secret: str) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    digest = hmac.digest(key, f"{message}.{stamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()
