import pytest

from chamade_mcp.web.docs.negotiation import prefers


@pytest.mark.parametrize(
    ("accept", "markdown"),
    [
        ("", False),
        ("*/*", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("text/markdown", True),
        ("text/markdown, text/html, */*", True),
        ("text/html, text/markdown", False),
        ("text/html;q=0.8, text/markdown", True),
        ("TEXT/Markdown; charset=utf-8 ; q=0.5, text/html;q=0.4", True),
        ("text/markdown;q=0", False),
        ("text/markdown;q=high, text/html", False),
    ],
)
def test_markdown_for_whoever_would_rather_have_it(accept: str, markdown: bool) -> None:
    assert prefers(accept, "text/markdown", "text/html") is markdown
