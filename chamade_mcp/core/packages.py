"""What platforms want people to install for a bot: `kit.connection.Packs`."""

from collections.abc import Mapping

from chamade_mcp.core.platforms import Platforms
from chamade_mcp.core.roster import Roster
from chamade_mcp.kit.connection import Package, Packs
from chamade_mcp.kit.connector import Connector
from chamade_mcp.model.access import Principal
from chamade_mcp.model.connections import ConnectionKind, Identity
from chamade_mcp.model.errors import NotFound
from chamade_mcp.model.ids import Platform


class Packages:
    def __init__(
        self, connectors: Mapping[Platform, Connector], platforms: Platforms, roster: Roster, public_url: str
    ) -> None:
        self._platforms = platforms
        self._roster = roster
        self._public_url = public_url
        self._by_name = {
            connector.packs: (platform, connector)
            for platform, connector in connectors.items()
            if isinstance(connector, Packs)
        }

    def knows(self, name: str) -> bool:
        return name in self._by_name

    def for_everybody(self, name: str) -> Package | None:
        """Of the shared bot; None where there is no such bot, or package."""
        if name not in self._by_name:
            return None
        platform, connector = self._by_name[name]
        if not self._platforms.has_shared_bot(platform):
            return None
        return connector.pack(self._platforms.link_settings(platform, None), None, self._public_url)

    def of(self, principal: Principal, name: str, connection: str = "") -> Package:
        """Of the agent's newest bot, or of the one named, which may be another agent's for a person who has
        signed in; without any, the shared one's. Raises `NotFound`."""
        if name not in self._by_name:
            raise NotFound("There is no such download")
        platform, connector = self._by_name[name]
        bot = self._bot(principal, platform, connection)
        if bot is None:
            shared = None if connection else self.for_everybody(name)
            if shared is None:
                raise NotFound("There is no bot that this would be for: connect one first")
            return shared
        return connector.pack(self._platforms.link_settings(platform, {}), bot, self._public_url)

    def _bot(self, principal: Principal, platform: Platform, connection: str) -> Identity | None:
        mine = [
            one
            for one in self._roster.of_account(principal.account)
            if principal.bounds.holds(one.scope)
            and one.platform == platform
            and one.kind is ConnectionKind.OWN
        ]
        if connection:
            found = [one for one in mine if one.id == connection]
        else:
            found = [one for one in mine if one.scope == principal.scope]
        return max(found, key=lambda one: one.created_at).identity if found else None
