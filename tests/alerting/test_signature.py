"""Signatures, judged by the reference implementation of Standard Webhooks."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from watchpost.alerting.signature import SecretError, signature, signing_key


def secret(key: bytes) -> str:
    return f"whsec_{base64.b64encode(key).decode()}"


OLD, NEW, OTHER = (secret(bytes([place]) * 32) for place in (1, 2, 3))
SAID_S = 1_800_000_000


@pytest.fixture
def now_s() -> int:
    """When the test runs: the reference refuses what was signed some minutes ago."""
    return int(datetime.now(UTC).timestamp())


def headers(now_s: int, signed: str) -> dict[str, str]:
    return {"webhook-id": "a1b2", "webhook-timestamp": str(now_s), "webhook-signature": signed}


@given(st.binary(min_size=24, max_size=64), st.text(max_size=200))
def test_the_reference_signs_the_same(key: bytes, text: str) -> None:
    ours = signature([signing_key(secret(key))], "a1b2", SAID_S, text.encode())
    assert ours == Webhook(secret(key)).sign("a1b2", datetime.fromtimestamp(SAID_S, UTC), text)


@pytest.mark.parametrize("held", [OLD, NEW])
def test_while_a_secret_is_replaced_holders_of_either_verify(held: str, now_s: int) -> None:
    signed = signature([signing_key(NEW), signing_key(OLD)], "a1b2", now_s, b'{"a":"\xc3\xa4"}')
    assert Webhook(held).verify('{"a":"ä"}', headers(now_s, signed)) == {"a": "ä"}


@pytest.mark.parametrize(("held", "body"), [(OTHER, "{}"), (NEW, "{ }")], ids=["another secret", "another body"])
def test_another_secret_or_another_body_does_not_verify(held: str, body: str, now_s: int) -> None:
    signed = signature([signing_key(NEW), signing_key(OLD)], "a1b2", now_s, b"{}")
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(held).verify(body, headers(now_s, signed))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "starts with whsec_"),
        (base64.b64encode(b"k" * 32).decode(), "starts with whsec_"),
        ("whsec_", "24 to 64 bytes, this one 0"),
        (secret(b"k" * 23), "24 to 64 bytes, this one 23"),
        (secret(b"k" * 65), "24 to 64 bytes, this one 65"),
        ("whsec_" + "SGVsbG8" * 9, "base64"),
        (f"{secret(b'k' * 32)}!", "base64"),
        (f"{secret(b'k' * 32)}\n", "base64"),
        ("whsec_not base64 at all, thirty bytes", "base64"),
        ("whsec_ключключключключключключ", "base64"),
    ],
)
def test_a_secret_that_cannot_sign_is_refused_with_the_reason_and_not_repeated(text: str, reason: str) -> None:
    with pytest.raises(SecretError, match=reason) as refused:
        signing_key(text)
    assert len(text) < 10 or text.removeprefix("whsec_") not in str(refused.value)
    assert refused.value.__cause__ is None
