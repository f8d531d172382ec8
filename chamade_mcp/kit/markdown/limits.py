"""How long a message is, as its platform counts."""

from enum import StrEnum

from chamade_mcp.kit.markdown.render import Format, seen


class Unit(StrEnum):
    """The field `text_unit` of a manifest."""

    CHARACTERS = "characters"
    """Code points."""
    UTF16 = "utf16"
    """Code units: an emoji has two or more."""
    BYTES = "bytes"
    """Of UTF-8."""


def length(said: str, to: Format, unit: Unit) -> int:
    """Of `said`, which is in the dialect `to`; markup counts where the platform counts it."""
    counted = seen(said, to)
    match unit:
        case Unit.CHARACTERS:
            return len(counted)
        case Unit.UTF16:
            return len(counted.encode("utf-16-le", "surrogatepass")) // 2
        case Unit.BYTES:
            return len(counted.encode("utf-8", "surrogatepass"))
