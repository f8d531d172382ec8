"""A dictionary that forgets."""

from chamade_mcp.kit.recent import Recent


def test_the_oldest_make_room() -> None:
    known: Recent[str, int] = Recent(2)
    known["a"] = 1
    known["b"] = 2
    known["a"] = 3
    known["c"] = 4
    assert dict(known) == {"a": 3, "c": 4}
    assert known.setdefault("d", 5) == 5
    assert list(known) == ["c", "d"]
