"""What a bot's settings are to a person who types them in: labels, help, and what can be right."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chamade_mcp.model.errors import FieldError, ValidationFailed


@dataclass(frozen=True, slots=True)
class BotField:
    name: str
    label: str
    required: bool
    help: str = ""
    """Where it is found, or what it does: a sentence."""
    example: str = ""
    pattern: str = ""
    """A regular expression for the whole of it, such as Python and browsers both take; "": anything."""
    wrong: str = ""
    """What is said of a value that the pattern does not take: "is no ..."."""
    choices: Mapping[str, str] | None = None
    """Values and what they mean; None where anything can be typed."""
    secret: bool = False


def check(fields: Sequence[BotField], settings: Mapping[str, str]) -> None:
    """Raises `ValidationFailed`, naming every setting that cannot be right. What is missing is no mistake."""
    wrong = [FieldError(f.name, words) for f in fields if (words := _wrong(f, settings.get(f.name, "")))]
    if wrong:
        raise ValidationFailed(wrong)


def _wrong(field: BotField, value: str) -> str:
    if not value:
        return ""
    if field.choices is not None and value not in field.choices:
        return f"must be one of {', '.join(field.choices)}"
    if field.pattern and not re.fullmatch(field.pattern, value):
        return field.wrong or "cannot be right"
    return ""
