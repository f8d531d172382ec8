"""What a platform's own markup can say: plain text here, and each platform overrides what it does better."""

import re

ZERO_WIDTH = "\u200b"
"""Breaks a marker where a platform has no escape character."""


class Dialect:
    """Words of one markup: `text` gets raw characters of one line; `inner` and `label` are said already."""

    line_break = "\n"
    bullet = "•"
    between_in_item = "\n"
    """What parts the blocks of one item of a list."""

    def text(self, raw: str) -> str:
        return raw

    def strong(self, inner: str) -> str:
        return inner

    def emphasis(self, inner: str) -> str:
        return inner

    def strike(self, inner: str) -> str:
        return inner

    def code(self, raw: str) -> str:
        return self.text(raw)

    def address(self, url: str) -> str:
        """A bare address; `url` is http, https or mailto, without spaces."""
        return url

    def link(self, label: str, url: str) -> str:
        address = self.address(url)
        return f"{label}: {address}" if label else address

    def heading(self, inner: str, level: int) -> str:
        return self.strong(inner)

    def fence(self, raw: str, language: str) -> str:
        return "\n".join(self.text(line) for line in raw.split("\n"))

    def quote(self, inner: str) -> str:
        return prefixed(inner, "> ")

    def number(self, value: int) -> str:
        return f"{value}."

    def rule(self) -> str:
        return "———"

    def counted(self, said: str) -> str:
        """What of a whole message counts towards the platform's limit."""
        return said

    def seam(self, left: str, right: str) -> str:
        """What must stand between two pieces of a line so that their markers stay apart."""
        return ""


def prefixed(inner: str, prefix: str) -> str:
    return "\n".join(f"{prefix}{line}".rstrip() for line in inner.split("\n"))


def without_fences(raw: str) -> str:
    """Code whose own runs of three backticks cannot close the block around it."""
    return re.sub("``(?=`)", f"``{ZERO_WIDTH}", raw)


def percent_encoded(url: str, unsafe: str) -> str:
    """`url` with every character of `unsafe` as `%XX`, which names the same place."""
    return "".join(f"%{ord(c):02X}" if c in unsafe else c for c in url)
