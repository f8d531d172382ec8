"""Webhooks that were seen before. The addon's signature covers a random word alone, and no time."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final
from weakref import WeakValueDictionary

from chamade_mcp.kit.connection import Hook

_LIFE_S: Final = 600.0
_MOST: Final = 5000


class Randoms:
    """Those of a Nextcloud's last ten minutes. Its bots share a secret, and so they share these: what was
    sent to one of them is not good for another."""

    def __init__(self) -> None:
        self._taken: OrderedDict[str, tuple[float, Mapping[str, str]]] = OrderedDict()
        """By random word, when it came, and the headers of its request: one may be for several bots."""

    def take(self, random: str, hook: Hook, now: float) -> bool:
        """False for a word that came before, in another request."""
        while self._taken and (
            next(iter(self._taken.values()))[0] <= now - _LIFE_S or len(self._taken) >= _MOST
        ):
            self._taken.popitem(last=False)
        _, headers = self._taken.setdefault(random, (now, hook.headers))
        return headers is hook.headers


_of: WeakValueDictionary[str, Randoms] = WeakValueDictionary()


def randoms_of(place: str) -> Randoms:
    """Those of a Nextcloud, for as long as somebody holds them."""
    return _of.setdefault(place, Randoms())
