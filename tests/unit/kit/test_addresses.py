"""By the looks of an address: who could call it."""

import pytest

from chamade_mcp.kit.addresses import is_called_by_platforms


@pytest.mark.parametrize(
    ("url", "can"),
    [
        ("https://gateway.example.org", True),
        ("https://gateway.example.org:8443/api/hooks/telegram", True),
        ("https://8.8.8.8", True),
        ("http://gateway.example.org", False),
        ("https://127.0.0.1:8000", False),
        ("https://192.168.1.5", False),
        ("https://[::1]", False),
        ("https://gateway", False),
        ("https://gateway.local", False),
        ("https://gateway.internal", False),
        ("https://gateway.localhost", False),
    ],
)
def test_only_https_and_the_public_internet(url: str, can: bool) -> None:
    assert is_called_by_platforms(url) is can
