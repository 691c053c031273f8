"""The demo's randomness: each run draws new ids and a new secret."""

from __future__ import annotations

import os

new_bytes = os.urandom  # noqa: TID251  the one place where the demo draws randomness; all else is handed it
