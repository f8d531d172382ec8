"""Every connection there is, without its secrets, in memory: what is asked of each send, call and page."""

from dataclasses import dataclass
from datetime import datetime

from chamade_mcp.kit.clock import iso
from chamade_mcp.model.access import Scope
from chamade_mcp.model.connections import Access, ConnectionKind, ConnectionState, Identity
from chamade_mcp.model.ids import COMMON, AccountId, ConnectionId, Platform


@dataclass(frozen=True, slots=True)
class Listed:
    id: ConnectionId
    scope: Scope
    platform: Platform
    kind: ConnectionKind
    access: Access
    state: ConnectionState
    detail: str
    """The platform's words on a state that is not well."""
    identity: Identity
    created_at: datetime
    by_oauth: bool = False
    """It came by somebody's signing in at the platform, and is renewed by that alone."""

    @property
    def link(self) -> ConnectionId:
        """Which of the platform's links serves it."""
        return self.id if self.kind is ConnectionKind.OWN else COMMON

    def to_wire(self) -> dict[str, object]:
        return {
            "id": self.id,
            "platform": self.platform,
            "kind": str(self.kind),
            "name": self.identity.name,
            "status": str(self.state),
            "detail": self.detail or None,
            "access": str(self.access),
            "embedded": False,
            "by_oauth": self.by_oauth,
            "created_at": iso(self.created_at),
        }


class Roster:
    def __init__(self) -> None:
        self._all: dict[ConnectionId, Listed] = {}
        self._by_account: dict[AccountId, dict[ConnectionId, Listed]] = {}
        self._bots: dict[tuple[Platform, str], dict[ConnectionId, None]] = {}
        self._hooks: dict[tuple[Platform, str], dict[ConnectionId, None]] = {}

    def put(self, listed: Listed) -> None:
        """Takes the place of the one with the same id."""
        self.remove(listed.id, keep_place=True)
        self._all[listed.id] = listed
        self._by_account.setdefault(listed.scope.account, {})[listed.id] = listed
        for index, ref in self._indexes(listed):
            index.setdefault((listed.platform, ref), {})[listed.id] = None

    def remove(self, connection: ConnectionId, *, keep_place: bool = False) -> None:
        listed = self._all.get(connection)
        if listed is None:
            return
        for index, ref in self._indexes(listed):
            named = index[listed.platform, ref]
            del named[connection]
            if not named:
                del index[listed.platform, ref]
        if not keep_place:
            del self._all[connection]
            mine = self._by_account[listed.scope.account]
            del mine[connection]
            if not mine:
                del self._by_account[listed.scope.account]

    def get(self, connection: str) -> Listed | None:
        return self._all.get(ConnectionId(connection))

    def every(self) -> list[Listed]:
        return list(self._all.values())

    def of_account(self, account: AccountId) -> list[Listed]:
        """The newest first."""
        return list(reversed(self._by_account.get(account, {}).values()))

    def of(self, scope: Scope, platform: Platform | None = None) -> list[Listed]:
        """An agent's, the newest first."""
        mine = self.of_account(scope.account)
        return [c for c in mine if c.scope == scope and platform in (None, c.platform)]

    def shared(self, scope: Scope, platform: Platform) -> Listed | None:
        """The agent's tie to the platform's shared bot."""
        return next((c for c in self.of(scope, platform) if c.kind is ConnectionKind.SHARED), None)

    def link_of(self, scope: Scope, platform: Platform) -> ConnectionId:
        """Which link the agent uses where no conversation says so: its own bot's before the shared one's."""
        own = (c.id for c in self.of(scope, platform) if c.kind is ConnectionKind.OWN)
        return next(own, COMMON)

    def by_hook_ref(self, platform: Platform, hook_ref: str) -> list[ConnectionId]:
        """Those that a platform calls by this name, the newest first."""
        return list(reversed(self._hooks.get((platform, hook_ref), {})))

    def own_bots(self, platform: Platform) -> list[ConnectionId]:
        """Everybody's."""
        return [c.id for c in self._all.values() if (c.platform, c.kind) == (platform, ConnectionKind.OWN)]

    def is_bot(self, platform: Platform, ref: str) -> bool:
        """Whether this is a bot of the gateway, whoever's."""
        return (platform, ref) in self._bots

    def _indexes(
        self, listed: Listed
    ) -> list[tuple[dict[tuple[Platform, str], dict[ConnectionId, None]], str]]:
        if listed.kind is not ConnectionKind.OWN:
            return []
        return [(self._bots, listed.identity.ref), (self._hooks, listed.identity.hook_ref)]
