"""Time is injected: logic that asks the operating system for it cannot be tested in milliseconds."""

import ast

from tests.architecture.sources import modules

BANNED = {
    "time.sleep", "time.time", "time.monotonic", "time.perf_counter", "asyncio.sleep", "datetime.now",
    "datetime.utcnow", "date.today",
}  # fmt: skip

ALLOWED: dict[tuple[str, str], str] = {
    ("client/retry.py", "asyncio.sleep"): "the client has none of the gateway's clocks",
    ("kit/clock.py", "datetime.now"): "this is the clock",
    ("kit/clock.py", "time.monotonic"): "this is the clock",
    ("kit/clock.py", "asyncio.sleep"): "this is the clock",
    ("kit/testing.py", "asyncio.sleep"): "gives way to other tasks, for no time",
}
"""Who may, and why."""


def test_nobody_asks_the_operating_system_for_the_time() -> None:
    found: set[tuple[str, str]] = set()
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                name = ast.unparse(node)
                found |= {(path, banned) for banned in BANNED if f".{name}".endswith(f".{banned}")}
            elif isinstance(node, ast.ImportFrom) and node.module in ("time", "asyncio"):
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= {(path, banned) for banned in names & BANNED}
    assert found == set(ALLOWED)
