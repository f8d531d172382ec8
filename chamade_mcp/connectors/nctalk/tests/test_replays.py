"""Each random word of a Nextcloud's is good for one request."""

from chamade_mcp.connectors.nctalk.replays import Randoms, randoms_of
from chamade_mcp.kit.connection import Hook


def hook() -> Hook:
    return Hook("POST", "/api/nctalk/chat", {}, {}, b"")


def test_one_request_may_be_for_several_bots_and_another_is_a_replay() -> None:
    words, first = Randoms(), hook()
    assert words.take("a", first, 0.0)
    assert words.take("b", hook(), 1.0)
    assert words.take("a", first, 2.0)
    assert not words.take("a", hook(), 3.0)
    assert not words.take("a", hook(), 599.0)


def test_a_word_is_forgotten_after_a_while() -> None:
    words = Randoms()
    for number in range(20_000):
        assert words.take(str(number), hook(), number / 100)
    assert words.take("0", hook(), 200.0)  # 5,000 are remembered
    assert not words.take("19999", hook(), 200.0)
    assert words.take("19999", hook(), 900.0)


def test_bots_of_one_nextcloud_share_them() -> None:
    here = randoms_of("cloud.example.org")
    assert randoms_of("cloud.example.org") is here
    assert randoms_of("other.example.org") is not here
