"""Alembic's scripts for the state store; a published one is never edited."""
