"""Markdown becomes pages: anchors, words that are explained elsewhere, nothing that runs."""

import pytest

from chamade_mcp.web.docs.markdown import render, slug, summary, title


def html_of(text: str, **words: str) -> str:
    return render(text, words.get, {}).html


def test_headings_have_the_anchors_of_github_and_each_its_own() -> None:
    made = render("# A\n\n## What `call` says, and why\n\n## Twice\n\n## Twice", lambda _: None, {"A": "top"})
    assert [h.anchor for h in made.headings] == ["top", "what-call-says-and-why", "twice", "twice-1"]
    assert [h.level for h in made.headings] == [1, 2, 2, 2]
    assert '<h2 id="twice-1">' in made.html


def test_a_row_about_one_word_can_be_linked_to_once() -> None:
    rows = (
        "code | when | fix",
        "---|---|---",
        "`GONE` | was there | none",
        "`GONE` | again |",
        "`a b` | x | y",
    )
    table = "".join(f"| {row} |\n" for row in rows)
    made = render(table, lambda _: None, {})
    assert list(made.rows) == ["GONE"]
    assert made.html.count('<tr id="GONE">') == 1
    assert '<td data-label="when">' in made.html


def test_a_table_without_a_head_shows_none() -> None:
    assert "<thead hidden>" in html_of("| | |\n|---|---|\n| a | b |\n")
    assert "<thead>" in html_of("| x | |\n|---|---|\n| a | b |\n")


def test_words_lead_to_their_explanation_but_not_in_headings_links_and_their_own_row() -> None:
    text = "## `GONE`\n\nSee `GONE` and [`GONE`](/x).\n\n| code |\n|---|\n| `GONE` |\n"
    html = html_of(text, GONE="/docs/errors#GONE")
    assert html.count('<a href="/docs/errors#GONE" class="word"><code>GONE</code></a>') == 1


def test_nothing_in_a_document_is_markup_of_the_page() -> None:
    html = html_of(
        '<script>x()</script>\n\na <img src=x onerror=y> `<b>`\n\n```sh\necho "<i>"\n```\n[z](javascript:x)'
    )
    assert "<script" not in html
    assert "<img" not in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert "href=" not in html


def test_code_is_told_apart_and_stays_what_it_is() -> None:
    html = html_of('```sh\ncurl "$URL" # <now>\n```\n\n```text\na "b"\n```\n')
    assert '<span class="c"># &lt;now&gt;' in html
    assert '<pre tabindex="0"><code>a "b"\n</code></pre>' in html
    assert '<b class="get">GET</b> /api/call/{id}' in html_of("`GET /api/call/{id}`")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# A\n\nOne `x` two. three.\n\nMore.", "One x two."),
        ("# A\n\nAll\nof this: that", "All of this"),
        ("# A\n", ""),
    ],
)
def test_a_summary_is_the_first_sentence(text: str, told: str) -> None:
    assert summary(text) == told


def test_titles_and_slugs() -> None:
    assert title("intro\n\n# The `x` of y\n\n# Another") == "The x of y"
    assert title("none") == ""
    assert slug("claude.ai") == "claudeai"
