"""What a message could talk an agent into: nothing about who may write to it."""

from pathlib import Path

import chamade_mcp.tools

PATHS = ("/api/pairings", "/api/connections", "/api/bot-tokens", "/api/links")


def test_no_tool_decides_who_reaches_the_agent() -> None:
    folder = Path(next(iter(chamade_mcp.tools.__path__)))
    sources = {path.name: path.read_text(encoding="utf-8") for path in folder.rglob("*.py")}
    assert any("/api/inbox" in text for text in sources.values()), "the tools' paths stand elsewhere now"
    assert {(name, path) for name, text in sources.items() for path in PATHS if path in text} == set()
