"""A page before it is laid out."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Leaf:
    slug: str
    """Its address below ``/docs``."""
    label: str
    """Its name in the navigation."""
    text: str
    """Markdown; links lead to where things are served."""
    anchors: Mapping[str, str] = field(default_factory=dict[str, str])
    """Headings that have a name of their own."""
