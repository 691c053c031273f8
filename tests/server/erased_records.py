"""Erasures that are remembered, in lists."""

from __future__ import annotations

from collections.abc import Mapping

from watchpost.store.erasure import Erasure, ErasureRecord, Traced


class Graveyard:
    """TelemetryEraser and ErasureReader over lists."""

    def __init__(self) -> None:
        self.records: list[ErasureRecord] = []
        self.digests: set[str] = set()
        self.found = Traced()

    def find(self, project: str, session_id: str, user_id: str) -> Traced:
        del project, session_id, user_id
        return self.found

    def copy(self, erasure: Erasure) -> Mapping[str, int]:
        del erasure
        return {}

    def conceal(self, erasure: Erasure) -> None:
        del erasure

    def purge(self) -> int:
        return 0

    def erasures(self, limit: int) -> list[ErasureRecord]:
        return self.records[:limit]

    def erasure(self, erasure_id: str) -> ErasureRecord | None:
        return next((one for one in self.records if one.id == erasure_id), None)

    def is_done(self) -> bool:
        return all(one.state == "purged" for one in self.records)

    def is_erased(self, digest: str) -> bool:
        return digest in self.digests
