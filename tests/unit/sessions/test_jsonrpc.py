"""Bytes to messages and back."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chamade_mcp.sessions.jsonrpc import (
    MAX_DEPTH,
    Malformed,
    Notification,
    Request,
    Response,
    answer,
    encode,
    error,
    parse,
)


def body(**message: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message}).encode()


@pytest.mark.parametrize("id", [0, -5, 2**80, "", "x", "ü"])
def test_requests_keep_their_ids(id: int | str) -> None:
    assert parse(body(id=id, method="ping")) == Request(id, "ping", {})
    assert json.loads(answer(id, b"{}")) == {"jsonrpc": "2.0", "id": id, "result": {}}
    assert json.loads(error(id, -1, "no", [1])) == {
        "jsonrpc": "2.0",
        "id": id,
        "error": {"code": -1, "message": "no", "data": [1]},
    }


def test_the_other_kinds() -> None:
    assert parse(body(method="a", params={"b": 1})) == Notification("a", {"b": 1})
    assert parse(body(method="a", params=None)) == Notification("a", {})
    assert parse(body(id=1, result={"a": 1})) == Response(1, {"a": 1}, None)
    assert parse(body(id=1, error={"code": 1})) == Response(1, None, {"code": 1})


@pytest.mark.parametrize(
    ("broken", "code", "id"),
    [
        (b"", -32700, None),
        (b"{", -32700, None),
        (b"\xff", -32700, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":NaN}}', -32700, None),
        (b'{"jsonrpc":"2.0","id":' + b"1" * 5000 + b',"method":"a"}', -32700, None),
        (b"[" * 100_000, -32700, None),
        (b"[]", -32600, None),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600, None),
        (b'"a"', -32600, None),
        (b"null", -32600, None),
        (b"{}", -32600, None),
        (b'{"id":1,"method":"a"}', -32600, 1),
        (b'{"jsonrpc":"1.0","id":"x","method":"a"}', -32600, "x"),
        (body(id=None, method="a"), -32600, None),
        (body(id=1.5, method="a"), -32600, None),
        (body(id=True, method="a"), -32600, None),
        (body(id=[1], method="a"), -32600, None),
        (body(id=1, method=5), -32600, 1),
        (body(id=1, method="a", params=[1]), -32600, 1),
        (body(id=1, method="a", params="x"), -32600, 1),
        (body(id=1), -32600, 1),
        (body(id=1, result={}, error={}), -32600, 1),
        (body(result={}), -32600, None),
        (body(id=1, method="a", params={"x": json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)}), -32600, None),
    ],
)
def test_what_is_no_message(broken: bytes, code: int, id: object) -> None:
    with pytest.raises(Malformed) as caught:
        parse(broken)
    assert (caught.value.code, caught.value.id) == (code, id)


def test_wide_is_not_deep() -> None:
    many: list[dict[str, Any]] = [{"a": [1]} for _ in range(1000)]
    assert isinstance(parse(body(id=1, method="a", params={"x": many})), Request)


def test_half_a_surrogate_pair_goes_back_as_it_came() -> None:
    request = parse(b'{"jsonrpc":"2.0","id":"\\ud800","method":"\\udfff"}')
    assert isinstance(request, Request)
    assert json.loads(answer(request.id, b"{}"))["id"] == "\ud800"
    assert encode({"a": "\ud800"}) == b'{"a":"\\ud800"}'
    assert encode("ü\n") == '"ü\\n"'.encode()


def code_of(given_bytes: bytes) -> int | None:
    """What is wrong with it; None for a message."""
    try:
        parse(given_bytes)
    except Malformed as error:
        return error.code
    return None


# A machine that does other things as well is slow now and then, and that is no finding.
calmly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@calmly
@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(given_bytes: bytes) -> None:
    assert code_of(given_bytes) in (-32700, -32600, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@calmly
@given(
    st.fixed_dictionaries(
        {}, optional={"jsonrpc": st.just("2.0") | JSON, "id": JSON, "method": JSON, "params": JSON}
    )
)
def test_any_object_is_a_message_or_malformed(found: dict[str, object]) -> None:
    assert code_of(json.dumps(found).encode()) in (-32600, None)
