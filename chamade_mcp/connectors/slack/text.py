"""Slack's text, made plain for an agent: its escapes undone, its references by name.

https://docs.slack.dev/messaging/formatting-message-text
"""

import re
from collections.abc import Mapping
from typing import Final

_REFERENCE: Final = re.compile(r"<([^<>]+)>")
_USER: Final = re.compile(r"<@([A-Z0-9]{2,40})(?:\|[^<>]*)?>")
_ENTITIES: Final = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))
"""The only three, and & last: what was written as ``&amp;lt;`` is ``&lt;``."""


def mentioned(text: str) -> list[str]:
    """The people and bots that `text` calls, each once."""
    return list(dict.fromkeys(_USER.findall(text)))


def plain(text: str, names: Mapping[str, str]) -> str:
    """`names` are those of the `mentioned`; who has none is called by the id."""
    said = _REFERENCE.sub(lambda found: _said(found[1], names), text)
    for entity, character in _ENTITIES:
        said = said.replace(entity, character)
    return said


def _said(reference: str, names: Mapping[str, str]) -> str:
    target, _, label = reference.partition("|")
    match target[:1]:
        case "@":
            return "@" + (names.get(target[1:]) or label or target[1:])
        case "#":
            return "#" + (label or target[1:])
        case "!":
            # <!here>, <!subteam^S1|@team>, <!date^1^{date}|a day>
            return label or "@" + target[1:].partition("^")[0]
        case _:
            bare = target.removeprefix("mailto:").removeprefix("tel:")
            return target if not label else bare if label in (target, bare) else f"[{label}]({target})"
