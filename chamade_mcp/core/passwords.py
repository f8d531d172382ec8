"""Passwords: argon2id with the ASVS parameters, off the event loop, a few at a time."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from chamade_mcp.model.errors import FieldError, ValidationFailed

MIN_LENGTH = 8
MAX_LENGTH = 256

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# 19 MiB each: two at once bound the memory a flood of sign-ins can take.
_pool = ThreadPoolExecutor(2, thread_name_prefix="chamade-password")
_DUMMY = _hasher.hash("nobody has this password")


def _encoded(password: str) -> bytes:
    # JSON can name half of a surrogate pair; as a password that is as good as any other.
    return password.encode("utf-8", "surrogatepass")


def check_new(password: str, field: str) -> None:
    """Raises `ValidationFailed` naming `field` when `password` cannot be chosen."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise ValidationFailed([FieldError(field, f"must have {MIN_LENGTH} to {MAX_LENGTH} characters")])


async def hash_password(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_pool, _hasher.hash, _encoded(password))


async def verify(password: str, stored: str | None) -> bool:
    """Takes as long for an unknown account (`stored` None), so that timing tells nobody who has one."""

    def run() -> bool:
        try:
            return _hasher.verify(stored or _DUMMY, _encoded(password)) and stored is not None
        except (VerificationError, InvalidHashError):
            return False

    return await asyncio.get_running_loop().run_in_executor(_pool, run)
