"""What alembic runs: every missing migration, on the connection that `gateway migrate` opened."""

from alembic import context

from gateway.backends.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
