"""Which messages a place has seen: a resend is recognised by sender and key."""

from collections import OrderedDict

from chamade_mcp.connectors.web.post import Post

_REMEMBERED = 2000


class Ledger:
    """Messages by their name (sender and key), and whether the store has them."""

    def __init__(self) -> None:
        self._shown: OrderedDict[str, Post] = OrderedDict()
        self._stored: set[str] = set()

    def shown(self, name: str) -> Post | None:
        return self._shown.get(name)

    def is_stored(self, name: str) -> bool:
        return name in self._stored

    def show(self, name: str, post: Post) -> None:
        self._shown[name] = post
        if len(self._shown) > _REMEMBERED:
            oldest, _ = self._shown.popitem(last=False)
            self._stored.discard(oldest)

    def store(self, name: str) -> None:
        if name in self._shown:
            self._stored.add(name)
