"""What is written in a room or a chat, as the page shows it: safe Markdown, and the rest as it is."""

import time

import pytest
from playwright.async_api import Browser, Page

from tests.support.visitors import House, visit

RENDERED = """async (text) => {
  const page = document.querySelector("script[type=module]").src;
  const { renderText } = await import(new URL("text.js", page));
  const box = document.createElement("div");
  box.append(renderText(text));
  for (const node of box.querySelectorAll("*")) {
    for (const name of node.getAttributeNames()) if (name !== "href") node.removeAttribute(name);
  }
  return box.innerHTML;
}"""


PLAIN = """async (text) => {
  const page = document.querySelector("script[type=module]").src;
  const { plain } = await import(new URL("plain.js", page));
  return plain(text);
}"""
WORDS = """async (text) => {
  const page = document.querySelector("script[type=module]").src;
  const { renderText } = await import(new URL("text.js", page));
  const whole = [...renderText(text).children];
  const blocks = whole.flatMap((one) => (one.tagName === "UL" ? [...one.children] : [one]));
  return blocks.map(({ textContent }) => textContent).join(" ").replace(/\\s+/g, " ").trim();
}"""


@pytest.fixture
async def page(house: House, mute_browser: Browser) -> Page:
    async with house.agent() as agent:
        link = (await agent.post("/api/invite-link", json={"agent_name": "Ada"})).raise_for_status().json()
    return await visit(mute_browser, link["url"], "Ann")


async def shown(page: Page, text: str) -> str:
    html: str = await page.evaluate(RENDERED, text)
    return html


BOLD = "<strong>bold</strong>"
PIECES = ("**", "*", "_", "`", "[", "[a](", "*a", "_a ", "**a ", "[a](https://x/(", "# ", "- ")
LINK = '<a href="https://example.org/a_b">'


async def test_what_is_marked(page: Page) -> None:
    for text, html in (
        (
            "**bold** and *bold* and _italic_",
            f"{BOLD} and {BOLD} and <em>italic</em>",
        ),
        ("**a _b_**", "<strong>a <em>b</em></strong>"),
        ("run `a *b* c`", "run <code>a *b* c</code>"),
        ("(*so*)", "(<strong>so</strong>)"),
        ("[the *notes*](https://example.org/a_b)", f"{LINK}the *notes*</a>"),
        ("see https://example.org/a_b.", f"see {LINK}https://example.org/a_b</a>."),
        ("**https://example.org/a_b**", f"<strong>{LINK}https://example.org/a_b</a></strong>"),
    ):
        assert await shown(page, text) == f"<p>{html}</p>", text


async def test_blocks(page: Page) -> None:
    text = "# Plan\n\nFirst:\n- one\n* *two*\n\nThen\n```py\n- *no*\n```\nend"
    assert await shown(page, text) == (
        "<p><strong>Plan</strong></p><p>First:</p><ul><li>one</li><li><strong>two</strong></li></ul>"
        "<p>Then</p><pre>- *no*</pre><p>end</p>"
    )


async def test_everything_else_stays_as_it_was_written(page: Page) -> None:
    for text, html in (
        ("2 * 3 * 4 and a*b*c and snake_case_name", "2 * 3 * 4 and a*b*c and snake_case_name"),
        ("** no **, _no _ and *", "** no **, _no _ and *"),
        ("*over\nlines*", "*over\nlines*"),
        ("#hash and 1. first", "#hash and 1. first"),
        (
            "<b>x</b> &amp; <img src=x onerror=a()>",
            "&lt;b&gt;x&lt;/b&gt; &amp;amp; &lt;img src=x onerror=a()&gt;",
        ),
        ("[x](javascript:alert(1)) [x](//evil.example)", "[x](javascript:alert(1)) [x](//evil.example)"),
        ("![x](data:text/html,x)", "![x](data:text/html,x)"),
    ):
        assert await shown(page, text) == f"<p>{html}</p>", text


async def test_lists_and_announcements_say_the_same_words_without_the_marks(page: Page) -> None:
    for text, words in (
        ("**bold** and *bold* and _italic_, (*so*)", "bold and bold and italic, (so)"),
        ("**a _b_** and ***c***", None),
        ("run `a *b* c`\n\nthen\tgo", "run a *b* c then go"),
        ("see [the *notes*](https://example.org/a_(b)_c) and https://example.org/*a*_b_.", None),
        (
            "# Plan\n\nFirst:\n- one\n* *two*\n\nThen\n```py\n- *no*\n```\nend",
            "Plan First: one two Then - *no* end",
        ),
        ("2 * 3 * 4, a*b*c, snake_case_name, ** no **, _no _ and *", None),
        ("*over\nlines* #hash and 1. first", "*over lines* #hash and 1. first"),
        ("<b>x</b> [x](javascript:alert(1)) ![x](data:text/html,x)", None),
        ("[https://bank.example](https://evil.example/x) [www.a.example](https://evil.example)", None),
        ("é*no*é *ja* 日*no*", "é*no*é ja 日*no*"),
    ):
        shown = await page.evaluate(PLAIN, text)
        assert shown == await page.evaluate(WORDS, text), text
        assert words is None or shown == words
    # Of a text that was cut the end of its code is missing.
    assert await page.evaluate(PLAIN, "Run\n```sh\nmake *all") == "Run make *all"


async def test_a_link_does_not_pretend_to_lead_elsewhere(page: Page) -> None:
    for text in (
        "[https://bank.example](https://evil.example/x)",
        "[www.bank.example](https://evil.example)",
    ):
        html = await shown(page, text)
        assert html.startswith("<p>[")
        assert 'href="https://evil.example' not in html or ">https://evil.example" in html


@pytest.mark.parametrize(
    "piece", ["**", "*", "_", "`", "[", "[a](", "*a", "_a ", "**a ", "[a](https://x/(", "# ", "- "]
)
async def test_no_text_takes_long(page: Page, piece: str) -> None:
    text = (piece * 10_000)[:10_000]
    started = time.perf_counter()
    await shown(page, text)
    await page.evaluate(PLAIN, text)
    assert time.perf_counter() - started < 2
