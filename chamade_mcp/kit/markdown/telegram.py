"""Telegram's HTML: three characters to escape; MarkdownV2 has twenty, and one forgotten is refused."""

import html
import re

from chamade_mcp.kit.markdown.dialect import Dialect

_TAG = re.compile(r"<[^>]*>")
_NESTED_QUOTE = re.compile(r"</?blockquote>")


class TelegramHtml(Dialect):
    def text(self, raw: str) -> str:
        return html.escape(raw, quote=False)

    def strong(self, inner: str) -> str:
        return f"<b>{inner}</b>"

    def emphasis(self, inner: str) -> str:
        return f"<i>{inner}</i>"

    def strike(self, inner: str) -> str:
        return f"<s>{inner}</s>"

    def code(self, raw: str) -> str:
        return f"<code>{self.text(raw)}</code>"

    def address(self, url: str) -> str:
        return self.link(self.text(url), url)

    def link(self, label: str, url: str) -> str:
        return f'<a href="{html.escape(url)}">{label or self.text(url)}</a>'

    def fence(self, raw: str, language: str) -> str:
        if not language:
            return f"<pre>{self.text(raw)}</pre>"
        return f'<pre><code class="language-{language}">{self.text(raw)}</code></pre>'

    def quote(self, inner: str) -> str:
        # Telegram refuses a quote within a quote. All other `<` in `inner` that are not tags are escaped.
        return f"<blockquote>{_NESTED_QUOTE.sub('', inner)}</blockquote>"

    def counted(self, said: str) -> str:
        # A literal `<` or `>` is escaped, in addresses too.
        return html.unescape(_TAG.sub("", said))
