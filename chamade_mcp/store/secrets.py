"""What is kept of secrets: hashes of tokens, sealed columns; and keys derived from the gateway's own."""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_VERSION = b"\x01"
_NONCE_BYTES = 12


def token_hash(token: str) -> str:
    """SHA-256 in hex, of a token that nobody could guess. Takes any text: whatever was sent is looked up."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


class SealBroken(Exception):
    """The text was sealed with another key, for another purpose, or was changed."""


class SecretBox:
    """AES-256-GCM under keys derived from the gateway's secret, one per purpose."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._ciphers: dict[str, AESGCM] = {}

    def derive(self, purpose: str) -> bytes:
        """32 bytes that only this gateway can make for `purpose`."""
        return HKDF(SHA256(), 32, salt=b"chamade", info=purpose.encode()).derive(self._secret)

    def seal(self, purpose: str, text: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher(purpose).encrypt(nonce, text.encode(), purpose.encode())

    def open(self, purpose: str, sealed: bytes) -> str:
        """Raises `SealBroken`."""
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            if sealed[:1] != _VERSION:
                raise SealBroken(purpose)
            return self._cipher(purpose).decrypt(nonce, body, purpose.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise SealBroken(purpose) from error

    def _cipher(self, purpose: str) -> AESGCM:
        if purpose not in self._ciphers:
            self._ciphers[purpose] = AESGCM(self.derive(purpose))
        return self._ciphers[purpose]
