"""Passwords: argon2id with the ASVS parameters, off the event loop, a few at a time.

Length is what makes one hard to guess; letters, digits and signs are nobody's business. What cannot be chosen
is what everybody else has chosen, and what names the account or this gateway.
"""

import asyncio
import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from chamade_mcp.model.errors import FieldError, ValidationFailed

MIN_LENGTH = 8
MAX_LENGTH = 256
NONE_YET: Final = ""
"""Stored for an account that nobody has made theirs: no password opens it."""

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# 19 MiB each: two at once bound the memory a flood of sign-ins can take.
_pool = ThreadPoolExecutor(2, thread_name_prefix="chamade-password")
_DUMMY = _hasher.hash(secrets.token_bytes(32))
_OURS: Final = frozenset({"chamade", "chamademcp"})
_PLAIN = re.compile(r"[^a-z]+")
_SHORTEST_NAME: Final = 4


def _encoded(password: str) -> bytes:
    # JSON can name half of a surrogate pair; as a password that is as good as any other.
    return password.encode("utf-8", "surrogatepass")


@cache
def _common() -> frozenset[str]:
    """The 12,000 passwords of enough length that are found most often in leaked lists."""
    # Half a megabyte of words, needed when somebody chooses a password: that is seldom.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(word for word in FREQUENCY_LISTS["passwords"] if len(word) >= MIN_LENGTH)


def _is_name(password: str, names: tuple[str, ...]) -> bool:
    """Whether it is a name with nothing but digits and signs around it."""
    known = [part for name in names for part in (name, *name.split("@"))]
    words = {_PLAIN.sub("", part.casefold()) for part in known}
    words = {word for word in words if len(word) >= _SHORTEST_NAME} | _OURS
    return _PLAIN.sub("", password.casefold()) in words


def check_new(password: str, field: str, *names: str) -> None:
    """Raises `ValidationFailed` naming `field` when `password` cannot be chosen.

    `names` are what others know of the person: e-mail address, name.
    """
    wrong = None
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        wrong = f"must have {MIN_LENGTH} to {MAX_LENGTH} characters"
    elif password.casefold() in _common() or len(set(password)) == 1:
        wrong = "is one of those that are tried first; take another, such as a few words"
    elif _is_name(password, names):
        wrong = "names the account or this gateway; take another, such as a few words"
    if wrong is not None:
        raise ValidationFailed([FieldError(field, wrong)])


async def hash_password(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_pool, _hasher.hash, _encoded(password))


async def verify(password: str, stored: str | None) -> bool:
    """Takes as long for an account that is unknown (`stored` None) or has none yet: timing tells nobody."""

    def run() -> bool:
        try:
            return _hasher.verify(stored or _DUMMY, _encoded(password)) and bool(stored)
        except (VerificationError, InvalidHashError):
            return False

    return await asyncio.get_running_loop().run_in_executor(_pool, run)
