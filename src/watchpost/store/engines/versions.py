"""The error's former place, for whoever still imports it from here."""

from __future__ import annotations

from watchpost.store.versions import StoreNewerError

__all__ = ["StoreNewerError"]
