"""Queries bound to how far somebody's look goes."""

from sqlalchemy import ColumnElement, Table

from chamade_mcp.model.access import Bounds


def inside(table: Table, bounds: Bounds) -> ColumnElement[bool]:
    """Of a table with the columns `account_id` and `agent_id`."""
    mine = table.c.account_id == bounds.account
    return mine if bounds.agent is None else mine & (table.c.agent_id == bounds.agent)
