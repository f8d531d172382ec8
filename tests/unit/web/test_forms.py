"""Forms within bounds."""

import pytest
from starlette.requests import Request
from starlette.types import Message

from chamade_mcp.web.forms import MAX_FORM_BYTES, BadForm, form_token, read_form, token_fits

CHUNK = 4096


class Sent:
    """A body of the form ``a=xxxx...`` that never ends by itself."""

    def __init__(self) -> None:
        self.size_bytes = 0

    async def __call__(self) -> Message:
        self.size_bytes += CHUNK
        return {"type": "http.request", "body": b"x" * CHUNK, "more_body": True}


async def test_a_form_is_read_to_its_bound_and_no_further() -> None:
    sent = Sent()
    headers = [(b"content-type", b"application/x-www-form-urlencoded; charset=UTF-8")]
    with pytest.raises(BadForm):
        await read_form(Request({"type": "http", "method": "POST", "headers": headers}, sent))
    assert sent.size_bytes == MAX_FORM_BYTES + CHUNK


async def test_of_a_repeated_field_the_last_counts() -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"a=1&b=%C3%A9+%FF&a=2&c="}

    headers = [(b"content-type", b"application/x-www-form-urlencoded")]
    form = await read_form(Request({"type": "http", "method": "POST", "headers": headers}, receive))
    assert form == {"a": "2", "b": "é \ufffd", "c": ""}


def test_a_token_fits_its_own_cookie_only() -> None:
    assert token_fits(form_token("one"), "one")
    assert not token_fits(form_token("one"), "two")
    assert not token_fits("", "one")
    assert not token_fits("\udc80", "\udc80")
