"""Settings of redaction that cannot be used are refused by name."""

import pytest

from watchpost.ingest.redact import OwnPattern, RedactionSettings, Redactor
from watchpost.ingest.scan import InvalidPatternError

SECRET = b"a secret of the tests"


@pytest.mark.parametrize(
    ("settings", "pattern", "reason"),
    [
        (RedactionSettings(own_patterns=(OwnPattern("staff_no", "emp-["),)), "staff_no", "RE2"),
        (RedactionSettings(own_patterns=(OwnPattern("staff_no", "(?=x)y"),)), "staff_no", "RE2"),
        (RedactionSettings(own_patterns=(OwnPattern("staff_no", "\ud800"),)), "staff_no", "RE2"),
        (RedactionSettings(own_patterns=(OwnPattern("staff_no", r"\Aemp"),)), "staff_no", "ends of lines"),
        (RedactionSettings(own_patterns=(OwnPattern("staff_no", "(emp)?"),)), "staff_no", "empty"),
        (RedactionSettings(own_patterns=(OwnPattern("Staff No", "emp"),)), "Staff No", "lower-case"),
        (RedactionSettings(own_patterns=(OwnPattern("email", "emp"),)), "email", "another"),
        (RedactionSettings(own_patterns=(OwnPattern("staff", "a"), OwnPattern("staff", "b"))), "staff", "another"),
        (RedactionSettings(kinds=("emial",)), "emial", "no such kind"),
        (RedactionSettings(id_formats=("ORD-(",)), "ORD-(", "RE2"),
        (RedactionSettings(own_fields=("客户",)), "客户", "ASCII"),
        (RedactionSettings(allowed_fields=("",)), "", "ASCII"),
    ],
)
def test_the_error_names_the_pattern_and_the_reason(settings: RedactionSettings, pattern: str, reason: str) -> None:
    with pytest.raises(InvalidPatternError) as caught:
        Redactor(settings, SECRET)
    assert pattern in caught.value.pattern
    assert reason in str(caught.value)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        Redactor(RedactionSettings(), b"short")
