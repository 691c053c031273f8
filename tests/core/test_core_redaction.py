"""What is hidden in one text and what is left, by Python's own `re`."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchpost_core.fields import FieldNames, is_id_field
from watchpost_core.patterns import KINDS
from watchpost_core.redaction import Key, TextRedactor, is_masked, pseudonym, re_candidates, rules_for

NAMES = FieldNames()
KEY = Key(b"a secret of the tests", "shop")
TEXTS = TextRedactor(re_candidates(rules_for(KINDS, NAMES)), NAMES, lambda _text, _start, _end: False)
PSEUDONYM = re.compile(r"\[([a-z_]+):[0-9a-f]{8}\]")


def redact(text: str) -> str:
    return TEXTS.redact(text, KEY)


def shape(text: str) -> str:
    """The redacted text with only the kinds of its pseudonyms."""
    return PSEUDONYM.sub(r"[\1]", redact(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to Ada.L@example.co.uk.", "write to [email]."),
        ("<jürgen.müller@firma.de>", "<[email]>"),
        (r"mail:\nada@example.com", r"mail:\n[email]"),
        ("4111 1111 1111 1111", "[card]"),
        ("paid with 5555-5555-5555-4444.", "paid with [card]."),
        ("amex 378282246310005", "amex [card]"),
        ("DE89 3704 0044 0532 0130 00 please", "[iban] please"),
        ("GB82WEST12345698765432", "[iban]"),
        ("her number is 123-45-6789", "her number is [ssn]"),
        ("SSN: 123456789", "SSN: [ssn]"),
        ("from 8.8.8.8:53", "from [ip]:53"),
        ("http://203.0.113.9/x", "http://[ip]/x"),
        ("2001:4860:4860::8888", "[ip]"),
        ("+49 (0)30 123456-78", "[phone]"),
        ("call me at (555) 123-4567", "call me at [phone]"),
        ("Phone Number: 327-420-4923", "Phone Number: [phone]"),
        ("sk-proj-abcdefghijklmnopqrstuvwx", "[openai_key]"),
        ("sk-ant-api03-abcdefghijklmnopqrst", "[openai_key]"),
        (r"key\nAKIAIOSFODNN7EXAMPLE", r"key\n[aws_key]"),
        ("ghp_" + "a1" * 18, "[github_token]"),
        ("xoxb-123456789012-abcdef", "[slack_token]"),
        ("AIza" + "b" * 35, "[google_key]"),
        ("sk_live_" + "a1" * 12, "[stripe_key]"),
        ("hf_" + "a1" * 17, "[api_key]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "[jwt]"),
        ("Bearer abcdef0123456789", "Bearer [bearer]"),
        ("Basic dXNlcjpwYXNz", "Basic [bearer]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- end", "[private_key] end"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEcut off", "[private_key]"),
        ("postgres://app:s3cr3t@db:5432/x", "postgres://app:[password]@db:5432/x"),
        ("password=hunter2&next=1", "password=[password]&next=1"),
        ("Password: hunter2!", "Password: [password]!"),
        ("Password: `emma.student`", "Password: `[password]`"),
        ("the password is hunter2", "the password is [password]"),
        ("curl -H 'X-Api-Key: abc123def456'", "curl -H 'X-Api-Key: [secret]'"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "AWS_SECRET_ACCESS_KEY=[secret]"),
        ('{"password": "x"}', '{"password": "[password]"}'),
        ('{"password": "a\\"b", "n": 1}', '{"password": "[password]", "n": 1}'),
        ("{'api_key': 'abc'}", "{'api_key': '[secret]'}"),
        ('{"access_token": ["ab", "cd"]}', '{"access_token": ["[token]", "[token]"]}'),
        ('{"ssn": 123456789, "cvv": 123}', '{"ssn": "[ssn]", "cvv": "[cvv]"}'),
        ('{"card": 4111111111111111}', '{"card": "[card]"}'),
        ('[1, "a", 4111111111111111]', '[1, "a", "[card]"]'),
        ('{"Authorization": "Bearer abc"}', '{"Authorization": "[authorization]"}'),
    ],
)
def test_secrets_and_personal_data_are_hidden(text: str, expected: str) -> None:
    assert shape(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "item 1008292230, order #W2378156, flight HAT001, reservation 4WQ150, user mia_li_3668",
        "payment credit_card_7815826, gift_card_1234567, certificate_7504069",
        "4111111111111112 fails its checksum, 0.4111111111111111 is a fraction, INV-4111111111111111 an invoice",
        '{"item_id": "4111111111111111", "orderId": 4111111111111111, "ids": ["1", "4111111111111111"]}',
        '{"usage": {"input_tokens": 1200, "max_tokens": "4096", "token_type": "Bearer"}, "next_page_token": "CAUQAA"}',
        "at 1763712345678901234 ns, 2025-11-21T05:08:00.123+00:00, 12:30:45, +0200",
        "trace 4bf92f3577b34da6a3ce929d0e0e4736 span 00f067aa0ba902b7 run 12345678-1234-4234-8234-123456789012",
        "task-12345678-1234-1234-1234-123456789012 resp_68af0c2d4e1c8190a0f1 call_abcdefghijklmnopqrstuvwx chatcmpl-9x",
        "gpt-4o-2024-08-06 claude-3-5-sonnet-20241022 v3.11.2 ==1.2.3.4 Chrome/120.0.6099.71 version 1.2.3.4 10485760 bytes",
        "127.0.0.1 10.1.2.3 192.168.1.1 172.16.0.9 169.254.169.254 256.1.1.1 1.2.3.4.5 fe80::1 ::1",
        "000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000 2023-123-45-6789",
        "555-123-4567 without a word for it, item 5551234567, iPhone 1234567, hotel: 5551234567, phone: 2024-05-20",
        "icon@2x.png git@github.com:org/repo react@18.2.0 @app.route a@b",
        "password: must have 8 characters; the password is required; password=get_password(); secret: shared",
        '{"password": "********", "token": "__REDACTED__", "secret": "<your secret>", "api_key": "${KEY}", "cookie": null}',
        '{"password": {"type": "string"}, "required": ["password"]}',
        "basic understanding of bearer authentication-and-authorisation",
    ],
)
def test_ids_counts_versions_times_and_prose_are_left(text: str) -> None:
    assert redact(text) is text


def test_one_value_has_one_pseudonym_however_it_is_spelt() -> None:
    text = redact(
        'ADA@example.com ada@example.com 4111 1111 1111 1111 4111-1111-1111-1111 {"ssn": 123456789} 123-45-6789'
    )
    first, second, third, fourth, fifth, sixth = PSEUDONYM.findall(text) and [
        m.group() for m in PSEUDONYM.finditer(text)
    ]
    assert first == second
    assert third == fourth
    assert fifth == sixth
    assert len({first, third, fifth}) == 3


def test_a_value_has_the_same_digits_whatever_its_kind() -> None:
    assert pseudonym("password", "hunter2", KEY)[-9:] == pseudonym("secret", "hunter2", KEY)[-9:]
    assert pseudonym("authorization", "Bearer abc123", KEY)[-9:] == pseudonym("bearer", "abc123", KEY)[-9:]


def test_projects_and_secrets_have_different_pseudonyms() -> None:
    keys = (KEY, Key(b"a secret of the tests", "bank"), Key(b"another secret of the tests", "shop"))
    assert len({pseudonym("email", "ada@example.com", key) for key in keys}) == 3


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
@pytest.mark.parametrize("value", [r'x"y\z\"', "ends in \\", 'ends in \\"', "\n"])
def test_a_hidden_field_is_found_in_json_within_json(value: str, depth: int) -> None:
    text = json.dumps({"password": value, "note": "kept"})
    for _ in range(depth):
        text = json.dumps({"outer": text, "after": "kept"})
    parsed = json.loads(redact(text))
    for _ in range(depth):
        assert parsed["after"] == "kept"
        parsed = json.loads(parsed["outer"])
    assert PSEUDONYM.fullmatch(parsed["password"])
    assert parsed["note"] == "kept"


def test_numeric_patterns_leave_the_value_of_an_id_field_and_secrets_in_it_are_hidden() -> None:
    def in_id(text: str) -> str:
        return TEXTS.redact(text, KEY, in_id_field=True)

    assert in_id("4111111111111111") == "4111111111111111"
    assert in_id("+4930123456789") == "+4930123456789"
    assert in_id("ada@example.com") == redact("ada@example.com") != "ada@example.com"
    assert in_id("AKIAIOSFODNN7EXAMPLE") == redact("AKIAIOSFODNN7EXAMPLE")


@pytest.mark.parametrize(
    "name", ["id", "order_id", "session.id", "orderId", "orderID", "item_ids", "sku", "trackingNumber"]
)
def test_names_of_ids_are_known(name: str) -> None:
    assert is_id_field(name)


@pytest.mark.parametrize("name", ["paid", "idea", "id_card", "card_number", "", "ß"])
def test_other_names_are_no_ids(name: str) -> None:
    assert not is_id_field(name)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("db.password", "password"),
        ("mysqlPassword", "password"),
        ("http.request.header.x-api-key", "secret"),
        ("openai.apiKey", "secret"),
        ("OPENAI_APIKEY", "secret"),
        ("refresh_token", "token"),
        ("http.request.header.authorization", "authorization"),
        ("gen_ai.usage.input_tokens", ""),
        ("max_tokens", ""),
        ("llm.token_count.prompt", ""),
        ("gen_ai.token.type", ""),
        ("next_page_token", ""),
        ("token_id", ""),
        ("password_hint", ""),
        ("secretary", ""),
        ("", ""),
    ],
)
def test_hidden_fields_are_told_by_their_last_words(name: str, kind: str) -> None:
    assert NAMES.kind(name) == kind


def test_an_allowed_field_is_left_even_inside_json() -> None:
    names = FieldNames(allowed=frozenset({"support email", "token"}))
    texts = TextRedactor(re_candidates(rules_for(KINDS, names)), names, lambda _text, _start, _end: False)
    text = '{"support_email": "help@example.com", "token": "abc", "email": "ada@example.com"}'
    assert texts.redact(text, KEY) == text.replace("ada@example.com", pseudonym("email", "ada@example.com", KEY))


def test_masks_pseudonyms_and_placeholders_are_nothing_to_hide() -> None:
    values = ("", "***", "[REDACTED]", "<password>", "{password}", "$TOKEN", "null", "[email:7f3a9c21]")
    assert [value for value in values if not is_masked(value)] == []
    assert not is_masked("x")
    assert not is_masked("secret")


PIECES = st.sampled_from(
    [
        "ada@example.com", "4111111111111111", "4111 1111 1111 1111", "123-45-6789", "8.8.8.8", "+4930123456789", "hunter2",
        "sk-proj-abcdefghijklmnopqrstuvwx", "eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", '"password"', ": ", '"', "\\", "=", " ", "\n", "[", "]", ",",
        "{", "}", "password", "token", "phone", "'", "://u:p@h", "Bearer ", "é", "\U0001f600", "\ud800", "\x00", "DE89370400440532013000",
        "[email:7f3a9c21]", "is", "order_id", "\\n", "x",
    ]
)  # fmt: skip
TEXT = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=7).map("".join))


@given(TEXT)
@settings(max_examples=200)
def test_redacting_twice_is_redacting_once(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


NUMBERS = st.integers() | st.sampled_from([4111111111111111, 123456789, 5551234567, 123])
FIELDS = st.sampled_from(["password", "api_key", "card", "ssn", "phone", "order_id", "note", "homePhone", "token"])
VALUES = st.recursive(
    TEXT | NUMBERS | st.none() | TEXT.map(lambda text: json.dumps({"password": text, "note": text})),
    lambda inner: st.dictionaries(FIELDS, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(FIELDS, VALUES, max_size=3))
@settings(max_examples=200)
def test_json_stays_json(value: object) -> None:
    json.loads(redact(json.dumps(value)))


@given(st.text(alphabet="abc XYZ", max_size=40), st.text(alphabet="abc XYZ", max_size=40))
def test_the_text_around_a_hidden_value_is_kept(before: str, after: str) -> None:
    assert (
        redact(f"{before} ada@example.com {after}") == f"{before} {pseudonym('email', 'ada@example.com', KEY)} {after}"
    )
