"""What the owner writes on the dashboard, in the agent's conversations and under their own name.

The person on the platform is to see that it was not the agent: a web page shows whose name a message bears,
elsewhere the name stands above the words. The agent finds it in its inbox, marked, and does not answer twice.
"""

import re
from typing import Final

from sqlalchemy import Connection, select

from chamade_mcp.core.dms import GATEWAY, OUTBOUND, by_hand
from chamade_mcp.kit.manifest import Manifest
from chamade_mcp.model.ids import AccountId
from chamade_mcp.model.messages import plain_line
from chamade_mcp.store.schema import accounts

_NAMELESS: Final = "Owner"
_MARKUP: Final = re.compile(r"([^\w\s])")


def owner_name(conn: Connection, account: AccountId) -> str:
    """What people see; never the gateway's own name."""
    name: str = conn.execute(select(accounts.c.name).where(accounts.c.id == account)).scalar_one()
    shown = plain_line(name)
    return _NAMELESS if shown in ("", GATEWAY) else shown


def signed(manifest: Manifest, markdown: str, sender_name: str) -> str:
    """What goes out, in Markdown, for what `sender_name` says: the agent is not named."""
    if not by_hand(OUTBOUND, sender_name) or manifest.embedded:
        return markdown
    name = _MARKUP.sub(r"\\\1", sender_name)
    return f"**{name}:**\n{markdown}" if markdown else f"**{name}**"
