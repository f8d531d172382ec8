"""No text becomes markup: what a dialect says is read back by a reader of that markup."""

import re
from html.parser import HTMLParser

from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from chamade_mcp.kit.markdown.backslash import NextcloudTalk, Teams
from chamade_mcp.kit.markdown.dialect import ZERO_WIDTH, Dialect
from chamade_mcp.kit.markdown.formats import Format
from chamade_mcp.kit.markdown.render import render

_ACTING = st.text(alphabet="ab1 \t*_~`|<>[]()!#&;@:/\\\"'=+-.\n", max_size=60)
_WORDS = [
    "**",
    "*",
    "_",
    "~~",
    "`",
    "```",
    "-",
    "#",
    "<b>",
    "&lt;",
    "&#10;",
    "@everyone",
    "<!here>",
    "![",
    "](",
    ")",
    "http://a.example/<b>",
    "a",
    "|--|",
    "|",
    "\\",
]
_SPACED = ["> ", "- ", "1. ", "# ", "\n", " ", "\u2028", "\x00", "[x](https://a.example)"]
_FRAGMENTS = st.lists(st.sampled_from(_WORDS + _SPACED), max_size=25).map("".join)
ANY_MARKDOWN = st.one_of(st.text(max_size=80), _ACTING, _FRAGMENTS)
ONE_LINE = st.text(
    alphabet=st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Zs"]) | st.just(" "), max_size=60
)
_TAGS = {"b", "i", "s", "code", "pre", "a", "blockquote"}
_ATTRIBUTES = {"a": {"href"}, "code": {"class"}}
_READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


class _Tags(HTMLParser):
    """Refuses what Telegram refuses: a tag it does not know, or one closed out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _TAGS
        assert {name for name, _ in attrs} <= _ATTRIBUTES.get(tag, set[str]())
        assert tag != "blockquote" or "blockquote" not in self.open
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"comment {data!r}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"declaration {decl!r}")


@given(ANY_MARKDOWN, st.sampled_from(list(Format)))
@example("> " * 200 + "deep", Format.TELEGRAM_HTML)
@example("*" * 3000, Format.SLACK)
def test_any_text_has_a_rendering(markdown: str, dialect: Format):
    assert isinstance(render(markdown, dialect), str)


@given(ANY_MARKDOWN)
def test_telegram_gets_known_tags_in_order_alone(markdown: str):
    tags = _Tags()
    tags.feed(render(markdown, Format.TELEGRAM_HTML))
    tags.close()
    assert tags.open == []


@given(ANY_MARKDOWN)
def test_slack_gets_no_control_sequence_but_links(markdown: str):
    said = render(markdown, Format.SLACK)
    links = re.sub(r"<(?:https?://|mailto:)[^<>|\s]*(?:\|[^<>|\n]*)?>", "", said, flags=re.IGNORECASE)
    assert "<" not in links
    assert ">" not in re.sub(r"^(?:\s*(?:>|[•]|\d+\.))+", "", links, flags=re.MULTILINE)
    assert not re.search(r"&(?!amp;|lt;|gt;)", said)


@given(ONE_LINE | _ACTING.map(lambda text: re.sub(r"\s", " ", text)))
def test_a_line_of_text_stays_text_where_backslashes_escape(raw: str):
    for dialect in (NextcloudTalk(), Teams()):
        assert _read_back(dialect, raw) == re.sub(r"^\s+|\s+$", "", raw).replace(ZERO_WIDTH, "")


@given(ONE_LINE | _ACTING.map(lambda text: re.sub(r"\s", " ", text)))
def test_a_line_of_text_has_no_acting_pair_where_nothing_escapes(raw: str):
    for dialect in (Format.SLACK, Format.WHATSAPP):
        said = render("".join(f"\\{c}" if c in "\\*_~`[]<&!#" else c for c in raw), dialect)
        bare = re.sub(r"https?://\S+", "", said)
        assert not re.search(r"(?<![\w\u200b])[*_~`](?=[^\s\u200b])", bare)


@given(ANY_MARKDOWN)
@example("```0`@everyone`")
@settings(max_examples=200)
def test_discord_calls_nobody(markdown: str):
    said = render(markdown, Format.DISCORD)
    # What is escaped opens no code.
    outside_code = re.sub(r"\\[\\`]|```.*?```|`[^`\n]*`", "CODE", said, flags=re.DOTALL)
    assert "@everyone" not in outside_code
    assert "<@" not in outside_code


@given(ANY_MARKDOWN, st.sampled_from([Format.TEAMS, Format.NEXTCLOUD_TALK]))
@settings(max_examples=200)
def test_a_document_gains_no_html_image_or_strange_link(markdown: str, dialect: Format):
    pieces = _pieces(render(markdown, dialect))
    assert not {piece.type for piece in pieces} & {"html_inline", "html_block", "image"}
    for piece in pieces:
        if piece.type == "link_open":
            assert str(piece.attrs["href"]).lower().startswith(("https://", "http://", "mailto:"))


def _pieces(markdown: str) -> list[Token]:
    return [piece for token in _READER.parse(markdown) for piece in (token, *(token.children or []))]


def _read_back(dialect: Dialect, raw: str) -> str:
    tokens = _READER.parse(dialect.text(raw))
    assert [t.type for t in tokens if t.type != "inline"] in ([], ["paragraph_open", "paragraph_close"])
    pieces: list[Token] = [piece for t in tokens for piece in t.children or []]
    assert {piece.type for piece in pieces} <= {"text"}
    return "".join(piece.content for piece in pieces).replace(ZERO_WIDTH, "").strip()
