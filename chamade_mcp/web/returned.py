"""What is told to a person whom a platform sends back to the dashboard.

Platforms say how it went by ``?connected=<platform>`` or ``?error=<platform>_<code>``, and by the older
``?<platform>=connected``. Anybody can make such a link: that a platform is connected is said only if it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from chamade_mcp.core.gateway import Core
from chamade_mcp.core.linking import words_of
from chamade_mcp.model.access import Principal
from chamade_mcp.model.connections import ConnectionState

_WELL = (ConnectionState.OK, ConnectionState.CONNECTING)


@dataclass(frozen=True, slots=True)
class Returned:
    words: str
    well: bool


def returned(core: Core, principal: Principal, query: Mapping[str, str]) -> Returned | None:
    """None for an address that says nothing of the kind."""
    named, _, code = query.get("error", "").partition("_")
    for manifest in core.platforms.manifests:
        platform, title = manifest.platform, manifest.title
        if platform == named:
            words = core.hooks.handovers.refusal(platform, code) or words_of(code)
            return Returned(f"{title} was not connected. {words}".rstrip(), well=False)
        if query.get("connected") == platform or query.get(platform) == "connected":
            mine = core.connections.list(principal.scope)
            well = any(c.platform == platform and c.state in _WELL for c in mine)
            return Returned(f"{title} is connected." if well else f"{title} is not connected.", well)
    return None
