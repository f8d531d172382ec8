"""Whether what was let in may still come in, as the transaction finds it that stores it.

Who may write, and whose agent it is, may have changed since: the owner's word is the last one.
"""

from sqlalchemy import Connection

from chamade_mcp.core import connection_rows, pairing_rows
from chamade_mcp.core.said import Party
from chamade_mcp.model.connections import Access, Standing, Trust
from chamade_mcp.model.ids import COMMON


def still(conn: Connection, party: Party, sender: str, trust: Trust | None) -> Party | None:
    """With the agent whose connection it is now; None where it may not come in any more.

    `sender` is the platform's id of who wrote.
    """
    if trust is Trust.INVITED:
        return party  # by a link of the gateway's own, which is watched for as long as it is open
    if party.connection == COMMON:
        tie = connection_rows.shared(conn, party.scope, party.platform)
    else:
        tie = connection_rows.find(conn, party.connection)
    if tie is None:
        return None
    found = pairing_rows.standing(conn, tie.id, sender)
    standing = found and found.standing
    heard = standing is Standing.PAIRED or (tie.access is Access.OPEN and standing is not Standing.DENIED)
    return party._replace(scope=tie.scope) if heard else None
