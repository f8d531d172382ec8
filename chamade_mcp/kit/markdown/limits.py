"""How long a message is, as its platform counts."""

from chamade_mcp.kit.markdown.formats import Format, Unit
from chamade_mcp.kit.markdown.render import seen


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
