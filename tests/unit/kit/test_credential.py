"""What a request brings to show who sends it."""

import pytest

from chamade_mcp.kit.credential import credential_in


@pytest.mark.parametrize(
    ("headers", "credential"),
    [
        ({}, None),
        ({b"x-api-key": b" key "}, "key"),
        ({b"authorization": b"Bearer token"}, "token"),
        ({b"authorization": b"bearer  token "}, "token"),
        ({b"authorization": b"Bearer token", b"x-api-key": b"key"}, "token"),
        ({b"authorization": b"Bearer ", b"x-api-key": b"key"}, "key"),
        ({b"authorization": b"Basic abc", b"x-api-key": b"key"}, "key"),
        ({b"authorization": b"Basic abc", b"x-api-key": b""}, None),
        ({b"x-api-key": b"\xff"}, "\xff"),
    ],
)
def test_the_bearer_comes_first(headers: dict[bytes, bytes], credential: str | None) -> None:
    assert credential_in(headers) == credential
