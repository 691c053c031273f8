"""Redaction of whole deliveries, by RE2, with any content."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchpost.ingest.redact import OwnPattern, RedactionSettings, Redactor
from watchpost.model.telemetry import Attributes, Delivery, Event, Exemplar, Link, LogLine, MetricPoint, Parcel, Span
from watchpost_core.fields import FieldNames
from watchpost_core.patterns import KINDS
from watchpost_core.redaction import Key, TextRedactor, re_candidates, rules_for

SECRET = b"a secret of the tests"
MAIL = "ada@example.com"
DEFAULTS = RedactionSettings()


def redactor(settings: RedactionSettings = DEFAULTS) -> Redactor:
    return Redactor(settings, SECRET)


def span(
    attributes: Attributes,
    name: str = "chat",
    status_message: str = "",
    events: tuple[Event, ...] = (),
    links: tuple[Link, ...] = (),
) -> Span:
    return Span(b"t" * 16, b"s" * 8, b"", name, 1, 2, 1, 0, status_message, attributes, events, links)


def delivery(*spans: Span, project: str = "shop") -> Delivery:
    return Delivery(1, (Parcel(project, {"service.name": "agent"}, "scope", spans),))


def redacted(attributes: Attributes, settings: RedactionSettings = DEFAULTS) -> Attributes:
    return redactor(settings).delivery(delivery(span(attributes))).parcels[0].spans[0].attributes


def mail(project: str = "shop") -> str:
    return TEXTS.redact(MAIL, Key(SECRET, project))


NAMES = FieldNames()
TEXTS = TextRedactor(re_candidates(rules_for(KINDS, NAMES)), NAMES, lambda _text, _start, _end: False)


def test_every_string_of_a_delivery_is_looked_at() -> None:
    found = span(
        {"a": MAIL, "deep": [{"b": [MAIL, 1, None]}], "bytes": MAIL.encode(), f"of {MAIL}": True},
        name=f"ask {MAIL}",
        status_message=f"no {MAIL}",
        events=(Event(3, f"e {MAIL}", {"c": MAIL}),),
        links=(Link(b"t" * 16, b"l" * 8, {"d": MAIL}),),
    )
    line = LogLine(4, 9, b"", b"", f"log {MAIL}", {"message": MAIL}, {"e": MAIL})
    exemplar = Exemplar(1, 2.0, b"", b"", {"f": f"only here: {MAIL}"})
    point = MetricPoint(f"m {MAIL}", f"u {MAIL}", "gauge", "", False, {"g": MAIL}, 1, 2, 3, (exemplar,))  # noqa: FBT003 - OTLP's isMonotonic is false
    given = Delivery(1, (Parcel("shop", {"host.owner": MAIL}, f"scope {MAIL}", (found,), (line,), (point,)),))
    result = redactor().delivery(given)
    assert MAIL not in str(result)
    assert str(result).count("[email:") == str(given).count(MAIL) == 18
    assert str(result).replace(mail(), MAIL) == str(given)


def test_a_span_without_anything_to_hide_is_the_same_object() -> None:
    clean, other = span({"gen_ai.usage.input_tokens": 5, "order_id": "4111111111111111"}), span({"a": MAIL})
    given = delivery(clean, other, clean)
    result = redactor().delivery(given).parcels[0].spans
    assert result[0] is clean
    assert result[1] is not other
    assert result[2] is clean
    points = tuple(MetricPoint("n", "s", "sum", "", False, {"a": text}, 1, 2, math.nan) for text in ("x", MAIL, "y"))  # noqa: FBT003 - OTLP's isMonotonic is false
    parcel = redactor().delivery(Delivery(1, (Parcel("shop", {}, "", metrics=points),))).parcels[0]
    assert [kept is sent for kept, sent in zip(parcel.metrics, points, strict=True)] == [True, False, True]
    nothing = delivery(clean)
    assert redactor().delivery(nothing) is nothing


def test_a_hit_is_found_in_every_place_of_a_large_batch() -> None:
    texts = [f"step {number}" if number % 7 else f"mail u{number}@example.com now" for number in range(300)]
    result = redactor().delivery(delivery(*(span({"a": "x", "b": text, "c": "é\U0001f600"}) for text in texts)))
    shown = [part.attributes["b"] for part in result.parcels[0].spans]
    assert [text for text in shown if "@" in str(text)] == []
    assert [before for before, after in zip(texts, shown, strict=True) if before == after] == [
        t for t in texts if "@" not in t
    ]
    assert len({text for text in shown if "[email:" in str(text)}) == len([t for t in texts if "@" in t])


def test_values_of_hidden_fields_are_hidden_whole_and_counts_are_left() -> None:
    given: Attributes = {
        "db.password": "x y",
        "http.request.header.authorization": ["Bearer a", "Bearer b"],
        "config": {"apiKey": "abc", "mode": "fast"},
        "user.ssn": 123456789,
        "gen_ai.usage.input_tokens": 12,
        "max_tokens": "4096",
        "token": "****",
        "password": b"raw",
    }
    result = redacted(given)
    kinds = re.sub(r":[0-9a-f]{8}\]", "]", str(result))
    assert kinds == str(
        {
            "db.password": "[password]",
            "http.request.header.authorization": ["[authorization]", "[authorization]"],
            "config": {"apiKey": "[secret]", "mode": "fast"},
            "user.ssn": "[ssn]",
            "gen_ai.usage.input_tokens": 12,
            "max_tokens": "4096",
            "token": "****",
            "password": b"[password]",
        }
    )


def test_an_id_field_keeps_numbers_and_a_mail_address_in_it_keeps_equality() -> None:
    result = redactor().delivery(delivery(*(span({"session.id": value}) for value in (MAIL, MAIL, "4111111111111111"))))
    ids = [part.attributes["session.id"] for part in result.parcels[0].spans]
    assert ids == [mail(), mail(), "4111111111111111"]


def test_a_value_that_begins_in_a_rejected_candidate_is_found() -> None:
    assert re.sub(r":[0-9a-f]{8}", "", str(redacted({"a": "5501 4111 1111 1111 1111"})["a"])) == "5501 [card]"


def test_projects_do_not_share_pseudonyms() -> None:
    both = Delivery(1, (delivery(span({"a": MAIL})).parcels[0], delivery(span({"a": MAIL}), project="bank").parcels[0]))
    shop, bank = (parcel.spans[0].attributes["a"] for parcel in redactor().delivery(both).parcels)
    assert (shop, bank) == (mail("shop"), mail("bank"))
    assert shop != bank


def test_two_names_that_become_one_keep_both_values() -> None:
    result = redacted({"of ada@example.com": 1, "of ADA@example.com": 2})
    assert sorted(map(str, result.values())) == ["1", "2"]


def test_a_pattern_of_the_users_hides_all_that_it_matches() -> None:
    settings = RedactionSettings(
        own_patterns=(OwnPattern("staff_no", "(?i)emp-[0-9]{4}"), OwnPattern("customer", "^客户[0-9]+$"))
    )
    result = redacted({"a": "of Emp-1234", "b": "客户77", "c": "x\n客户88", "d": "no 客户99", "e": "EMP-12"}, settings)
    assert re.sub(r":[0-9a-f]{8}\]", "]", str(result)) == str(
        {"a": "of [staff_no]", "b": "[customer]", "c": "x\n[customer]", "d": "no 客户99", "e": "EMP-12"}
    )


def test_a_field_of_the_users_is_hidden_and_an_allowed_field_is_left() -> None:
    settings = RedactionSettings(own_fields=("customer name",), allowed_fields=("support email",))
    given: Attributes = {
        "order.customerName": "Ada L",
        "text": '{"customer_name": "Ada L"}',
        "support_email": MAIL,
        "email": MAIL,
    }
    result = redacted(given, settings)
    assert re.sub(r":[0-9a-f]{8}\]", "]", str(result)) == str(
        {
            "order.customerName": "[customer_name]",
            "text": '{"customer_name": "[customer_name]"}',
            "support_email": MAIL,
            "email": "[email]",
        }
    )


def test_what_lies_in_a_known_id_is_no_number() -> None:
    text = "ticket T:123-45-6789 and 123-45-6789"
    assert re.sub(r":[0-9a-f]{8}\]", "]", str(redacted({"a": text})["a"])) == "ticket T:[ssn] and [ssn]"
    kept = redacted({"a": text}, RedactionSettings(id_formats=("T:[0-9-]+",)))["a"]
    assert re.sub(r":[0-9a-f]{8}\]", "]", str(kept)) == "ticket T:123-45-6789 and [ssn]"


def test_a_kind_that_is_switched_off_is_left_in_texts_and_fields() -> None:
    result = redacted({"a": MAIL, "phone": "+4930123456789", "password": "x"}, RedactionSettings(kinds=("email",)))
    assert result == {"a": mail(), "phone": "+4930123456789", "password": "x"}


def nested(depth: int, leaf: object) -> object:
    for _ in range(depth):
        leaf = {"k": [leaf]}
    return leaf


def test_a_value_at_any_depth_that_is_decoded_is_hidden() -> None:
    result = redacted({"a": nested(32, MAIL)})["a"]
    assert result == nested(32, mail())


def test_what_is_nested_too_deep_to_follow_is_taken_out() -> None:
    assert MAIL not in str(redacted({"a": nested(150, MAIL)}))


@pytest.mark.parametrize(
    "value",
    [
        "\ud800" + MAIL + "\udfff",
        "x" * 10_000_000,
        math.nan,
        10**400,
        -(10**30),
        b"\xff\x00",
        "\x00",
        "",
        [],
        {},
        None,
        True,
        {"": ""},
    ],
    ids=lambda value: str(value)[:8].encode("ascii", "replace").decode(),
)
def test_no_value_stops_redaction(value: object) -> None:
    result = redacted({"a": value, "password": value, "ssn": value, "b": MAIL})
    assert result["b"] == mail()
    assert MAIL not in str(result)


SEEDS = (
    "a", "4111 ", "4111 1111 1111 1112 ", "a@b.co ", "@a.", "eyJaaaaaaaaa.", "sk-", "password='", '"password":"x",', "\\", '\\"', "pwd\\\\\\\\",
    "-----BEGIN PRIVATE KEY-----a-----END PRIVATE KEY-----", "bearer ", "://a:", "8.8.8.8 ", "2001:", "+1 ", "phone ", "[email:7f3a9c21]", "[a",
    "\ud800", "\U0001f600", "\n", '"token":["a",', '{"id":[', "EMP-1234",
)  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.encode("ascii", "replace").decode())
def test_a_long_text_of_one_hostile_piece_is_redacted_once_for_all(seed: str) -> None:
    settings = RedactionSettings(own_patterns=(OwnPattern("staff_no", "EMP-[0-9]{4}"),), id_formats=("ORD-[0-9-]+",))
    once = redactor(settings).delivery(delivery(span({"a": seed * (20_000 // len(seed))})))
    assert redactor(settings).delivery(once) == once


PIECES = st.sampled_from(
    [
        MAIL, "4111111111111111", "4111 1111 1111 1111", "123-45-6789", "8.8.8.8", "2001:4860:4860::8888", "+4930123456789", "hunter2",
        "sk-proj-abcdefghijklmnopqrstuvwx", "AKIAIOSFODNN7EXAMPLE", '"password"', ": ", '"', "\\", "=", " ", "\n", "[", "]", ",", "{", "}", "-",
        "password", "token", "phone", "'", "://u:p@h", "Bearer ", "é", "\U0001f600", "\ud800", "\x00", "DE89370400440532013000", "\\n", "x",
        "-----BEGIN PRIVATE KEY-----",
    ]
)  # fmt: skip
TEXT = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=7).map("".join))
VALUES = st.recursive(
    TEXT | st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
SHARED = redactor()


@given(TEXT)
@settings(max_examples=300)
def test_re2_and_re_hide_the_same(text: str) -> None:
    result = SHARED.delivery(delivery(span({"a": text}))).parcels[0].spans[0].attributes["a"]
    assert result == TEXTS.redact(text, Key(SECRET, "shop"))


@given(st.lists(st.dictionaries(TEXT, VALUES, max_size=4), max_size=4))
@settings(max_examples=100)
def test_redacting_twice_is_redacting_once(attributes: list[Attributes]) -> None:
    once = SHARED.delivery(delivery(*map(span, attributes)))
    assert SHARED.delivery(once) is once
