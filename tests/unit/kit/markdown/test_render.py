"""Each dialect by example."""

import pytest

from chamade_mcp.kit.markdown.dialect import ZERO_WIDTH as Z
from chamade_mcp.kit.markdown.formats import Format
from chamade_mcp.kit.markdown.render import render

SAID = [
    (
        "**b** *i* ~~s~~ `c`",
        {
            "plain": "b i s c",
            "telegram_html": "<b>b</b> <i>i</i> <s>s</s> <code>c</code>",
            "mrkdwn": "*b* _i_ ~s~ `c`",
            "whatsapp_text": "*b* _i_ ~s~ `c`",
            "discord_markdown": "**b** *i* ~~s~~ `c`",
            "teams_markdown": "**b** *i* ~~s~~ `c`",
            "talk_markdown": "**b** *i* ~~s~~ `c`",
        },
    ),
    (
        "# Title",
        {
            "plain": "Title",
            "telegram_html": "<b>Title</b>",
            "mrkdwn": "*Title*",
            "discord_markdown": "# Title",
            "teams_markdown": "**Title**",
            "talk_markdown": "# Title",
        },
    ),
    ("#### Deep", {"discord_markdown": "**Deep**", "talk_markdown": "#### Deep"}),
    (
        "[label](https://a.example/x_(y)_z)",
        {
            "plain": "label: https://a.example/x_(y)_z",
            "telegram_html": '<a href="https://a.example/x_(y)_z">label</a>',
            "mrkdwn": "<https://a.example/x_(y)_z|label>",
            "whatsapp_text": "label: https://a.example/x%5F(y)%5Fz",
            "discord_markdown": "[label](https://a.example/x%5F%28y%29%5Fz)",
        },
    ),
    (
        "See https://a.example/b?c=1&d=2.",
        {
            "plain": "See https://a.example/b?c=1&d=2.",
            "mrkdwn": "See <https://a.example/b?c=1&amp;d=2>.",
            "discord_markdown": "See https://a.example/b?c=1&d=2.",
            "teams_markdown": "See <https://a.example/b?c=1&d=2>.",
        },
    ),
    (
        "![cat](https://a.example/cat.png)",
        {"plain": "cat: https://a.example/cat.png", "discord_markdown": "[cat](https://a.example/cat.png)"},
    ),
    ("[x](tg://user?id=1)", {"telegram_html": "x", "discord_markdown": "x", "mrkdwn": "x"}),
    (
        "- a\n  - b\n    - c\n      - d\n3. x\n4. y",
        {
            "plain": "• a\n  • b\n    • c\n      • d\n\n3. x\n4. y",
            "discord_markdown": "- a\n  - b\n    - c\n      - d\n\n3. x\n4. y",
        },
    ),
    (
        "| n | value |\n|--|--|\n| a | **1** |\n| bcd | 2 |",
        {
            "plain": "n   | value\n----+------\na   | 1\nbcd | 2",
            "mrkdwn": "```\nn   | value\n----+------\na   | 1\nbcd | 2\n```",
            "telegram_html": "<pre>n   | value\n----+------\na   | 1\nbcd | 2</pre>",
        },
    ),
    (
        "> # head\n> text\n>\n> > inner",
        {
            "plain": "> head\n>\n> text\n>\n> > inner",
            "telegram_html": "<blockquote><b>head</b>\n\ntext\n\ninner</blockquote>",
        },
    ),
    (
        "```python\nif a < b: pass\n```",
        {
            "telegram_html": '<pre><code class="language-python">if a &lt; b: pass</code></pre>',
            "mrkdwn": "```\nif a &lt; b: pass\n```",
            "discord_markdown": "```python\nif a < b: pass\n```",
        },
    ),
    (
        "````\n```\n````",
        {
            "discord_markdown": f"```\n``{Z}`\n```",
            "whatsapp_text": f"```\n``{Z}`\n```",
            "teams_markdown": "````\n```\n````",
        },
    ),
    (
        "<script> & @everyone <!channel> <@1>",
        {
            "telegram_html": "&lt;script&gt; &amp; @everyone &lt;!channel&gt; &lt;@1&gt;",
            "mrkdwn": "&lt;script&gt; &amp; @everyone &lt;!channel&gt; &lt;@1&gt;",
            "discord_markdown": f"\\<{Z}script> & @{Z}everyone \\<!channel> \\<{Z}@1>",
            "teams_markdown": "&lt;script> &amp; @everyone &lt;!channel> &lt;@1>",
        },
    ),
    ("unbalanced ** and snake_case", {"mrkdwn": f"unbalanced {Z}*{Z}{Z}*{Z} and snake_case"}),
    (
        "**b***i*",
        {"discord_markdown": f"**b**{Z}*i*", "mrkdwn": f"*b*{Z}_i_", "telegram_html": "<b>b</b><i>i</i>"},
    ),
    (r"wow\![t](https://a.example)", {"teams_markdown": "wow\\![t](https://a.example)"}),
    ("a&#10;&#35; b", {"discord_markdown": "a # b", "talk_markdown": "a # b"}),
    ("1\\. one\n\\# two", {"discord_markdown": "1\\. one\n\\# two", "plain": "1. one\n# two"}),
    ("@all or me@b.example", {"talk_markdown": f"@{Z}all or me@b.example"}),
    ("a **b** <i>", {"markdown": "a **b** <i>"}),
    ("", {"plain": "", "telegram_html": ""}),
    (" \n\t\n ", {"plain": "", "discord_markdown": ""}),
    ("שלום **עולם**", {"mrkdwn": "שלום *עולם*"}),
]


@pytest.mark.parametrize(
    ("markdown", "dialect", "said"),
    [(source, name, said) for source, row in SAID for name, said in row.items()],
)
def test_says_it_in_the_dialect(markdown: str, dialect: str, said: str):
    assert render(markdown, Format(dialect)) == said
