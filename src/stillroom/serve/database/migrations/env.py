"""What alembic runs to migrate: on the connection, and in the transaction, that `upgrade` gives it."""

from __future__ import annotations

from alembic import context

from stillroom.serve.database.metadata import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
