"""What a client says of itself (RFC 7591 section 2): read strictly, shown harmlessly; pure."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from chamade_mcp.oauth import redirects
from chamade_mcp.oauth.redirects import BadRedirect

NAME_CHARS = 100
UNNAMED = "A client without a name"
SECRET_METHODS = frozenset({"client_secret_basic", "client_secret_post"})
GRANT_TYPES = ("authorization_code", "refresh_token")
# Control and format characters (bidirectional overrides among them), surrogates, line ends.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_WORD = re.compile(r"[\x21-\x7e]{1,100}")


class BadMetadata(Exception):
    """`code` is the error of RFC 7591 section 3.2.2; the text is for developers."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code


@dataclass(frozen=True, slots=True)
class ClientMetadata:
    name: str
    redirect_uris: tuple[str, ...]
    auth_method: str
    refreshes: bool
    """Whether it takes refresh tokens: false only if it names its grant types, and not that one."""


def parse(document: Mapping[str, object], *, default_method: str) -> ClientMetadata:
    """Unknown members are ignored. Raises `BadMetadata`."""
    method = document.get("token_endpoint_auth_method") or default_method
    if not isinstance(method, str) or method not in {"none", *SECRET_METHODS}:
        raise BadMetadata("invalid_client_metadata", "token_endpoint_auth_method is not supported")
    grants = _words(document, "grant_types", ("authorization_code",))
    if "authorization_code" not in grants:
        raise BadMetadata("invalid_client_metadata", "grant_types must include authorization_code")
    if "code" not in _words(document, "response_types", ("code",)):
        raise BadMetadata("invalid_client_metadata", "response_types must include code")
    return ClientMetadata(
        display_name(document.get("client_name")),
        _redirect_uris(document),
        method,
        "refresh_token" in grants or not document.get("grant_types"),
    )


def display_name(given: object) -> str:
    """A name that can stand on a page and in a log: one line, no control or direction characters."""
    if not isinstance(given, str):
        return UNNAMED
    # Cut first: what follows costs time per character.
    seen = (" " if c.isspace() else c for c in given[: 4 * NAME_CHARS])
    kept = "".join(c for c in seen if unicodedata.category(c) not in _UNSEEN)
    return " ".join(kept.split())[:NAME_CHARS].strip() or UNNAMED


def _redirect_uris(document: Mapping[str, object]) -> tuple[str, ...]:
    given = document.get("redirect_uris")
    if not isinstance(given, list) or not given:
        raise BadMetadata("invalid_redirect_uri", "redirect_uris must be a list with at least one URI")
    uris = cast(list[object], given)
    if len(uris) > redirects.MAX_COUNT:
        raise BadMetadata("invalid_redirect_uri", f"redirect_uris may have {redirects.MAX_COUNT} entries")
    found: dict[str, None] = {}
    for at, uri in enumerate(uris):
        if not isinstance(uri, str):
            raise BadMetadata("invalid_redirect_uri", f"redirect_uris[{at}] is no text")
        try:
            redirects.check(uri)
        except BadRedirect as error:
            raise BadMetadata("invalid_redirect_uri", f"redirect_uris[{at}] {error}") from None
        found[uri] = None
    return tuple(found)


def _words(document: Mapping[str, object], member: str, default: Sequence[str]) -> Sequence[str]:
    given = document.get(member)
    if given is None or given == []:
        return default
    words = cast(list[object], given) if isinstance(given, list) else [None]
    if len(words) > 20 or not all(isinstance(word, str) and _WORD.fullmatch(word) for word in words):
        raise BadMetadata("invalid_client_metadata", f"{member} must be a short list of words")
    return [str(word) for word in words]
