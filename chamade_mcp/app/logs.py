"""Log lines for people, on standard error, with every secret masked."""

import logging
import re
import sys
from typing import Final, TextIO

from chamade_mcp.app.settings import LogLevel

OURS: Final = "chamade_mcp"

_MASKED = "***"
_SECRETS: Final = (
    # Our API keys, whole or cut; the public id may stay, as the dashboard shows it too.
    (re.compile(r"chmd_(?:([A-Za-z0-9]{10})(?=_|\b))?[A-Za-z0-9_-]*"), rf"chmd_\1{_MASKED}"),
    # OAuth: codes, access and refresh tokens, clients' secrets.
    (re.compile(r"chm([cors])_[A-Za-z0-9_-]+"), rf"chm\1_{_MASKED}"),
    # The token of a link or a file is all that guards it.
    (re.compile(r"(/(?:r|c|live/[a-z0-9_-]+|api/files(?:/u)?)/)(?!u/)[A-Za-z0-9_-]{8,}"), rf"\1{_MASKED}"),
    (
        re.compile(r"([?&](?:api_key|key|(?:\w+_)?token|code|state|secret)=)[^&\s\"']+", re.I),
        rf"\1{_MASKED}",
    ),
    (re.compile(r"\b(Bearer|Basic)\s+[^\s\"',]{8,}", re.I), rf"\1 {_MASKED}"),
)


def mask(text: str) -> str:
    """`text` without API keys, link and file tokens, bearer tokens and secret query parameters."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class MaskingFormatter(logging.Formatter):
    """Masks the finished line: arguments, foreign libraries' messages and tracebacks alike."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


def configure(level: LogLevel, stream: TextIO | None = None) -> None:
    """Our loggers from `level` up; everybody else's from WARNING up."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(MaskingFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S"))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(OURS).setLevel(level.upper())
    logging.captureWarnings(capture=True)
