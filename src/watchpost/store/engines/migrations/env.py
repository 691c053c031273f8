"""Run by Alembic for every upgrade: applies the scripts on the connection that the caller has open."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
