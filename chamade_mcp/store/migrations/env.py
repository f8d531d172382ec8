"""Alembic's entry: runs on the connection it is given, inside that connection's transaction."""

from alembic import context

from chamade_mcp.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # the caller's BEGIN IMMEDIATE is the transaction
    render_as_batch=True,
)
context.run_migrations()
