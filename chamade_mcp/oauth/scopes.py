"""Scopes are our permissions by name; pure."""

from collections.abc import Iterable

from chamade_mcp.model.access import Permission

USUAL = frozenset({Permission.READ, Permission.MESSAGE, Permission.CALL})
"""What a client gets that names none. `manage` has to be asked for by name."""
OFFLINE = "offline_access"
"""Asked for by clients that want a refresh token. Everybody gets one, so it is taken and means nothing."""
_TOLERATED = frozenset({OFFLINE, "openid", "profile", "email"})
_MAX_CHARS = 500


class UnknownScope(Exception):
    """A scope that this gateway does not have; the text names it."""


def parse(text: str) -> frozenset[Permission]:
    """The permissions in a ``scope`` parameter, which may name none. Raises `UnknownScope`."""
    if len(text) > _MAX_CHARS:
        raise UnknownScope("too many scopes")
    known = {str(permission): permission for permission in Permission}
    found: set[Permission] = set()
    for word in text.split():
        if word in known:
            found.add(known[word])
        elif word not in _TOLERATED:
            raise UnknownScope(f"unknown scope; known are {' '.join(known)} {OFFLINE}")
    return frozenset(found)


def to_text(permissions: Iterable[Permission]) -> str:
    """In the order of `Permission`, so that equal sets read alike."""
    given = set(permissions)
    return " ".join(permission for permission in Permission if permission in given)
