"""Signatures of webhooks by Standard Webhooks 1.0.0, symmetric scheme `v1`.

The receiver computes HMAC-SHA256 over `{id}.{timestamp}.{body}` with the shared secret and compares.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64


class SecretError(ValueError):
    """A secret that cannot sign. The message says what is wrong with it and never repeats it."""


def signing_key(secret: str) -> bytes:
    """The key in `whsec_` + base64 of 24 to 64 bytes; `SecretError` for anything else."""
    if not secret.startswith(PREFIX):
        raise SecretError(f"a webhook secret starts with {PREFIX}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        # The decoder's own words may quote the secret.
        raise SecretError(f"a webhook secret is {PREFIX} followed by base64 with its padding") from None
    if not SHORTEST <= len(key) <= LONGEST:
        raise SecretError(f"a webhook secret holds {SHORTEST} to {LONGEST} bytes, this one {len(key)}")
    return key


def signature(keys: Sequence[bytes], message_id: str, timestamp_s: int, body: bytes) -> str:
    """The `webhook-signature` header: one `v1,<base64>` per key, in order, separated by spaces."""
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    digests = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
