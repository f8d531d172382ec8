"""HTML forms: read within bounds, tied to the browser they were made for, sent on to our own pages only."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

MAX_FORM_BYTES = 16 * 1024
_MAX_FIELDS = 20
_FORM_TYPE = "application/x-www-form-urlencoded"
# One slash and no backslash first, or a browser takes the next word for a host; printable ASCII only, as
# browsers drop tabs and line ends from addresses.
_OWN_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]{0,4000}")


class BadForm(Exception):
    """The body is none that a form of ours makes."""


async def read_form(request: Request) -> Mapping[str, str]:
    """The fields, the last of each name. Raises `BadForm`, before more than `MAX_FORM_BYTES` are taken in."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM_TYPE:
        raise BadForm
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise BadForm
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="replace"
        )
    except ValueError:
        raise BadForm from None
    return dict(pairs)


def form_token(cookie: str) -> str:
    """What a form carries to show that it was made for the browser that has `cookie`.

    Another site can make a browser send its cookies, but it can neither read them nor a page of ours.
    """
    return hmac.new(cookie.encode("utf-8", "replace"), b"chamade form", hashlib.sha256).hexdigest()


def token_fits(token: str, cookie: str) -> bool:
    return hmac.compare_digest(token.encode("utf-8", "replace"), form_token(cookie).encode())


def own_path(wanted: str, default: str) -> str:
    """`wanted` if it is an address on this gateway, else `default`."""
    return wanted if _OWN_PATH.fullmatch(wanted) else default
