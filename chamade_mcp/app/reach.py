"""Who reaches an agent, and by which link: the parts of that, made of the same things."""

from chamade_mcp.core.connections import ConnectionDeps, Connections
from chamade_mcp.core.disk import Disk
from chamade_mcp.core.handovers import Handovers
from chamade_mcp.core.hooks import Hooks
from chamade_mcp.core.linking import Linking
from chamade_mcp.core.packages import Packages
from chamade_mcp.core.pairings import Pairings
from chamade_mcp.core.people import PairingLinks
from chamade_mcp.core.standings import Standings
from chamade_mcp.core.troubles import Troubles


class Reach:
    def __init__(self, deps: ConnectionDeps, disk: Disk) -> None:
        self.roster = deps.roster
        self.connections = Connections(deps)
        standings = Standings(deps.database)
        self.pairings = Pairings(deps.database, standings, deps.clock, deps.roster, deps.supervisor)
        self.links = PairingLinks(deps.database, standings, deps.box, deps.clock, deps.roster)
        self.linking = Linking(deps, self.connections, self.links)
        self.packages = Packages(deps.connectors, deps.platforms, deps.roster, deps.public_url)
        handovers = Handovers(deps, self.connections)
        self.troubles = Troubles(deps.database, deps.clock, deps.platforms, deps.roster, disk)
        self.hooks = Hooks(deps.connectors, deps.roster, deps.supervisor, handovers)
