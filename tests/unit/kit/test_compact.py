"""JSON as it goes out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chamade_mcp.kit.compact import compact

_LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
_JSON = st.recursive(
    _LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(_JSON)
def test_it_says_what_it_was_given(value: object) -> None:
    assert json.loads(compact(value)) == value


def test_it_is_short_and_in_utf_8() -> None:
    assert (
        compact({"a": [1, 2.5, None], "b": "Zoë/\u2028<"}) == '{"a":[1,2.5,null],"b":"Zoë/\u2028<"}'.encode()
    )


def test_half_of_a_pair_is_a_mark() -> None:
    assert compact({"text": "so \ud83d far", "n": 1}) == b'{"text":"so ? far","n":1}'


def test_what_is_no_json_is_told() -> None:
    with pytest.raises(TypeError):
        compact({"what": object()})


def test_deep_and_long_things() -> None:
    value: object = "x"
    for _ in range(400):
        value = [value]
    assert compact(value) == b"[" * 400 + b'"x"' + b"]" * 400
    assert compact(1 << 200) == str(1 << 200).encode()
