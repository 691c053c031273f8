"""Every example of settings on a page is one that a server starts with."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from watchpost.runtime.settings import read_settings
from watchpost.runtime.wiring import assemble, open_stores

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "changelog.d").glob("*.md")])
FENCE = re.compile(r"^```toml\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
EXPORT = re.compile(r"^export (?P<name>WATCHPOST_\w+)=(?P<value>\S+)", re.MULTILINE)
"""What a page has its reader put into the environment instead of the file."""
EXAMPLES = [
    pytest.param(
        match["body"],
        dict(EXPORT.findall(page.read_text(encoding="utf-8"))),
        id=f"{page.relative_to(ROOT).as_posix()}-{number}",
    )
    for page in PAGES
    for number, match in enumerate(FENCE.finditer(page.read_text(encoding="utf-8")), 1)
]
PLACEHOLDER = "whsec_..."
"""Where a reader is to put a secret of his own, so that nobody uses one that is published."""
SECRET = "whsec_d2F0Y2hwb3N0IGV4YW1wbGUgc2VjcmV0"  # noqa: S105 - the one of an example
SCHEMA = '{"type": "object", "properties": {"id": {"type": "string"}}}'
TOOLS = f'{{"tools": [{{"name": "get_offer", "outputSchema": {SCHEMA}}}]}}'
RULE = "rules: [{name: R, flag: any, window: 1h, above: 0, severity: high, owner: me, runbook: https://x.example}]"
FILES = {
    "schemas/applicant.json": SCHEMA,
    "schemas/tools_list.json": TOOLS,
    "rules/own.yaml": RULE,
    "routes.yaml": "route: {channels: [ops]}",
}
"""What examples name."""


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 6


@pytest.mark.parametrize(("text", "environment"), EXAMPLES)
def test_a_server_starts_with_the_settings_that_a_page_shows(
    text: str, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    text = text.replace(PLACEHOLDER, SECRET)
    (tmp_path / "watchpost.toml").write_text(text, encoding="utf-8")
    for file, content in FILES.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(content, encoding="utf-8")
    settings = read_settings(data=tmp_path / "data")
    assert settings.model_fields_set >= tomllib.loads(text).keys()
    with open_stores(settings) as stores:
        assemble(settings, stores, patient=False).flow.close()
