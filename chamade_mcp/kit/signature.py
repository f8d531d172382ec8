"""How platforms sign what they send: HMAC-SHA256 (RFC 2104) with a secret that both sides know."""

import hashlib
import hmac
from functools import lru_cache
from typing import Final

_MOST: Final = 1000


def hmac_sha256(secret: str, *parts: bytes) -> str:
    """Of the parts one after another, in hexadecimal."""
    signed = _keyed(secret).copy()
    for part in parts:
        signed.update(part)
    return signed.hexdigest()


@lru_cache(_MOST)
def _keyed(secret: str) -> hmac.HMAC:
    # Half of the work is the secret's alone, and done once. And `hmac.digest` would let go of the interpreter
    # even for a short body, and wait until it has it again.
    return hmac.new(secret.encode(), digestmod=hashlib.sha256)
