"""axe-core finds nothing serious on any page, in light and dark, and on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_frame import ADDRESSES
from visitor import PHONE, WIDE, Visitor
from watchpost_process import WatchpostProcess

AXE = Path(__file__).parents[2] / ".venv" / "node" / "node_modules" / "axe-core" / "axe.min.js"
GRAVE = {"serious", "critical"}


def inside(site: WatchpostProcess) -> list[str]:
    """A flagged session and a step of it: pages that no place of the rail leads to at once."""
    session = next(each for each in site.sessions() if each.flags)
    address = f"/sessions/{session.key}"
    return [address, f"{address}/steps/{site.steps(session)[0].step_id}", f"{address}/logs", "/silences", "/nowhere"]


@pytest.mark.parametrize(
    ("size", "dark"), [(WIDE, False), (WIDE, True), (PHONE, False)], ids=["light", "dark", "phone"]
)
def test_no_page_keeps_anybody_out(visitor: Visitor, site: WatchpostProcess, size: tuple[int, int], dark: bool) -> None:
    found: dict[str, list[str]] = {}
    for address in [*ADDRESSES, *inside(site)]:
        page = visitor.open(address, size, dark=dark)
        page.evaluate(AXE.read_text(encoding="utf-8"))
        violations = page.evaluate("axe.run({preload: false}).then(found => found.violations)")
        grave = [f"{each['id']}: {each['nodes'][0]['html'][:160]}" for each in violations if each["impact"] in GRAVE]
        if grave:
            found[address] = grave
        page.close()
    visitor.complaints = [each for each in visitor.complaints if "404" not in each]  # of the page that is nowhere
    assert found == {}
