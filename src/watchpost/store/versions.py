"""Which schema a store has, and what a program does about it: bring it up to date, or refuse it."""

from __future__ import annotations


class StoreNewerError(Exception):
    """A store was written by a newer program: start that one, or restore a backup made before the upgrade.

    `store` names the store, `found` is its schema version, `known` the newest that this program understands.
    """

    def __init__(self, store: str, found: str, known: str, program: str) -> None:
        super().__init__(
            f"the {store} store has schema version {found}, this is watchpost {program}, which knows versions up to {known}"
        )
        self.store = store
        self.found = found
        self.known = known
        self.program = program
