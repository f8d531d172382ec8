"""A connector's `connect.md`: how a person connects its platform, in steps, each way under its own heading.

Below the heading a comment names the kind: ``<!-- way: bot -->``, or ``<!-- way: bot, called -->`` where the
platform has to reach the gateway. In one of the steps ``<!-- form -->``
stands where the dashboard has its form or button; what follows in that step is for those who use the API. A
form may name its settings, ``<!-- form: bot_token, app_token -->``: then it has these alone, and all are
needed. In blocks of code ``{discord_app_id}`` stands for what is typed into the form, ``{connection}`` for
the id that the bot gets.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_HEADING: Final = re.compile(r"^## (.+)\n+<!-- way: ([a-z]+)(, called)? -->\n", re.M)
_FORM: Final = re.compile(r"^ *<!-- form(?:: ([a-z_, ]+))? -->\n", re.M)
_STEP: Final = re.compile(r"^(\d+)\. ", re.M)


class WayKind(StrEnum):
    BOT = "bot"
    """Credentials of a bot of one's own: `POST /api/bot-tokens`."""
    OAUTH = "oauth"
    """Agreeing at the platform: `POST /api/oauth/start/{provider}`."""
    CONNECT = "connect"
    """The platform hands over a bot: `POST /api/platforms/{platform}/connect`."""
    LINK = "link"
    """A link that a person opens at the platform: `POST /api/invite-link`."""


@dataclass(frozen=True, slots=True)
class Way:
    kind: WayKind
    title: str
    before: str
    """Markdown: what to know, and the steps up to the form."""
    number: int
    """Of the step with the form."""
    step: str
    """That step's words."""
    after: str
    """Markdown: the steps behind it."""
    fields: tuple[str, ...] = ()
    """The settings that the form asks for, all of them needed; none: those of the manifest."""

    is_called: bool = False
    """The platform calls the gateway, which needs an https address on the public Internet for that."""

    @property
    def text(self) -> str:
        """All of it, as Markdown."""
        return "\n\n".join(part for part in (self.before, f"{self.number}. {self.step}", self.after) if part)


DEFAULTS: Final[Sequence[Way]] = tuple(
    Way(kind, title, "", 1, "", "")
    for kind, title in (
        (WayKind.OAUTH, "By signing in"),
        (WayKind.CONNECT, "By a bot that it makes"),
        (WayKind.LINK, "By a link"),
        (WayKind.BOT, "A bot of your own"),
    )
)
"""Of a connector that says nothing."""


def parse_guide(text: str) -> tuple[Way, ...]:
    """Raises `ValueError` for a way that is not written as it must be."""
    found = list(_HEADING.finditer(text))
    ends = [*(heading.start() for heading in found[1:]), len(text)]
    return tuple(
        _way(heading[1], heading[2], text[heading.end() : end], is_called=heading[3] is not None)
        for heading, end in zip(found, ends, strict=True)
    )


def _way(title: str, kind: str, body: str, *, is_called: bool) -> Way:
    if kind not in set(WayKind):
        raise ValueError(f"connect.md: {title!r} is of the unknown kind {kind!r}")
    form = _FORM.search(body)
    begins = [step for step in _STEP.finditer(body) if form and step.start() < form.start()]
    if form is None or not begins:
        raise ValueError(f"connect.md: {title!r} has no step with a form")
    begin, behind = begins[-1], _STEP.search(body, form.end())
    rest = body[behind.start() :] if behind else ""
    named = tuple(name.strip() for name in (form[1] or "").split(",") if name.strip())
    return Way(
        WayKind(kind),
        title,
        body[: begin.start()].strip(),
        int(begin[1]),
        " ".join(body[begin.end() : form.start()].split()),
        rest.strip(),
        named,
        is_called,
    )
