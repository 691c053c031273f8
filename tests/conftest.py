"""For every test: how hypothesis chooses its examples."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("everyday")
settings.register_profile(
    "continuous", derandomize=True
)  # the same examples for the same code, so that a change is judged by itself
settings.load_profile("continuous" if os.environ.get("CI") else "everyday")
