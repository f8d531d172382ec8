"""Discord's text, made plain for an agent: its references by name.

https://docs.discord.com/developers/reference#message-formatting
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

_REFERENCE: Final = re.compile(
    r"<(?:@!?(?P<user>\d{1,20})|@&(?P<role>\d{1,20})|#(?P<channel>\d{1,20})|a?:(?P<emoji>\w{1,32}):\d{1,20}"
    r"|/(?P<command>[^<>:\n]{1,100}):\d{1,20}|t:(?P<time>\d{1,11})(?::[a-zA-Z])?)>",
    re.ASCII,
)
_CHANNEL: Final = re.compile(r"<#(\d{1,20})>", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def channels_in(text: str) -> list[str]:
    """The channels that `text` names, each once."""
    return list(dict.fromkeys(_CHANNEL.findall(text)))


def plain(text: str, names: Mapping[str, str]) -> str:
    """`names`, by id, are those of people, roles and channels; who has none is called by the id."""

    def said(found: re.Match[str]) -> str:
        kind = found.lastgroup
        ref = found[kind] if kind else ""
        match kind:
            case "user" | "role":
                return f"@{names.get(ref, ref)}"
            case "channel":
                return f"#{names.get(ref, ref)}"
            case "emoji":
                return f":{ref}:"
            case "command":
                return f"/{ref}"
            case _:
                return (_EPOCH + timedelta(seconds=int(ref))).strftime("%Y-%m-%d %H:%M UTC")

    return _REFERENCE.sub(said, text)
