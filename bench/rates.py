"""A share with its uncertainty, as every measurement of a detector prints it."""

from __future__ import annotations

import msgspec

from watchpost.rules.precision import wilson


class Rate(msgspec.Struct, frozen=True):
    """So many `hits` among `n` of what `what` says."""

    what: str
    hits: int
    n: int

    @property
    def percent(self) -> tuple[float, float, float]:
        """The share and its 95 % Wilson interval, in per cent; `n` may be 0."""
        low, high = wilson(self.hits, self.n)
        return 100 * self.hits / self.n if self.n else 0.0, 100 * low, 100 * high

    def __str__(self) -> str:
        share, low, high = self.percent
        return f"{self.what:<56} {self.hits:>5}/{self.n:<5} {share:>5.1f} [{low:.1f}, {high:.1f}]"
