"""The dashboard's pages, as its navigation shows them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One page: its path below ``/dashboard``, its section (which is its icon too), what it is called."""

    path: str
    section: str
    label: str
    in_bar: bool = False
    """Has a place of its own in the bar that phones show; the others are behind "More"."""


Group = tuple[Entry, ...]

# A page stands here as soon as there is one, and not before.
NAVIGATION: tuple[Group, ...] = (
    (
        Entry("", "home", "Home", in_bar=True),
        Entry("/inbox", "inbox", "Inbox", in_bar=True),
        Entry("/calls", "calls", "Calls", in_bar=True),
        Entry("/people", "people", "People"),
    ),
    (
        Entry("/platforms", "platforms", "Platforms", in_bar=True),
        Entry("/agents", "agents", "Agents"),
        Entry("/connect", "connect", "Connect"),
        Entry("/keys", "keys", "Keys"),
        Entry("/apps", "apps", "Apps"),
        Entry("/webhooks", "webhooks", "Webhooks"),
    ),
    (Entry("/usage", "usage", "Usage"),),
)


def behind_more(navigation: Sequence[Group] = NAVIGATION) -> Iterator[Entry]:
    """What phones show behind "More", in order."""
    return (entry for group in navigation for entry in group if not entry.in_bar)
