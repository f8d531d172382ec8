"""One id per request, the client's own where it is sane."""

import pytest

from chamade_mcp.kit.request_id import KEY, request_id_of


def test_the_clients_own_is_kept_and_remembered() -> None:
    scope = {"headers": [(b"x-request-id", b"abc-1 ")]}
    assert request_id_of(scope) == scope[KEY] == "abc-1"
    scope["headers"] = []
    assert request_id_of(scope) == "abc-1"


@pytest.mark.parametrize("given", [b"", b"two words", b"x" * 65, b"a\r\nb", b"\xff"])
def test_what_could_harm_a_log_is_replaced(given: bytes) -> None:
    first, second = ({"headers": [(b"x-request-id", given)]} for _ in range(2))
    assert len(request_id_of(first)) == 16
    assert request_id_of(first) == request_id_of(first) != request_id_of(second)
