"""Takes a picture of every page in a real browser: `make screenshots`.

It starts a Watchpost with the demo's settings, sends the recorded runs as if they had happened over the last two days, lets the demo's agents go wrong,
waits until nothing changes any more, and opens each page light and dark, on a desktop and on a phone. Those of `SHOWN` stand in the README and in the documentation and go to docs/images;
`--all FOLDER` has all of them. Times, ids and random parts differ from one run to the next.
"""

from __future__ import annotations

import argparse
import io
import math
import random  # noqa: TID251 - which run is told when, alike each time
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from urllib.request import urlopen

import msgspec
from PIL import Image
from playwright.sync_api import Browser, Page

from chromium import chromium_running
from watchpost.cli.demo.agents import HEALTHY, run_agents
from watchpost.cli.demo.captures import captures, retell
from watchpost.cli.demo.incidents import loan
from watchpost.cli.demo.receiver import NoticeReceiver
from watchpost.cli.demo.sending import TraceSender
from watchpost.cli.show_off import BUDGETS, QUIET_S
from watchpost.runtime.clock import now_ns
from watchpost.server.pages.rendering import PLACES

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
SHOWN = (
    "overview-light-desktop",
    "overview-dark-desktop",
    "session-light-desktop",
    "session-dark-desktop",
    "alert-light-desktop",
    "tool-light-desktop",
    "overview-light-phone",
    "session-light-phone",
)
"""Pictures that the README and the documentation use."""
BIGGEST = 150_000
"""Bytes that a picture in docs/images may have."""

SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
SHARPNESS = 2
"""Pixels of a picture for each of the page's, across and down."""
FEWER = (256, 128, 64)
"""How many colours a picture has that would be too big with all of them: the most with which it is small enough."""

HOURS = 46
RUNS = 700
"""Recorded runs that are told again, over so many hours."""
LOOPS = "LOOP_DETECTED"

SETTINGS = """
[session]
quiet_seconds = {quiet}
[budget]
limits = [{budgets}]
[webhooks.demo]
url = "{url}"
secrets = ["{secret}"]
allow_private = true
[alerting]
rules = ["{rules}"]
routes = "{routes}"
"""

START_S = 120.0
PATIENCE_S = 240.0
SAME_S = 5
SETTLE_MS = 1_500
"""How long a page is left alone before it is taken: charts and timeline are drawn by then."""


class _Flag(msgspec.Struct, frozen=True):
    kind: str
    step_id: str
    state: str


class _Session(msgspec.Struct, frozen=True):
    key: str
    workflow: str
    flags: list[_Flag] = []


class _Sessions(msgspec.Struct, frozen=True):
    sessions: list[_Session]


class NothingToShowError(Exception):
    """Watchpost did not start, or does not hold what a picture is to show; the message says what."""


def main() -> int:
    """Take the pictures that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="take every picture, and put them here too")
    parser.add_argument("--port", type=int, default=8497, help="where Watchpost listens meanwhile")
    asked = parser.parse_args()
    IMAGES.mkdir(exist_ok=True)
    if asked.all:
        asked.all.mkdir(parents=True, exist_ok=True)
    with watchpost_running(asked.port) as url, chromium_running() as browser:
        before(url, random.Random(7))  # noqa: S311 - no secret
        wait_until_quiet(url)
        run_agents(url, lambda _: None)
        wait_until_quiet(url)
        addresses = pages(url, browser)
        wanted = [
            (f"{name}-{theme}-{device}", url + address)
            for name, address in addresses.items()
            for theme in ("light", "dark")
            for device in SIZES
            if asked.all or f"{name}-{theme}-{device}" in SHOWN
        ]
        taken = {picture for picture, address in wanted if take(browser, address, picture, asked.all)}
    missing = {*SHOWN, *(picture for picture, _ in wanted)} - taken
    if missing:
        sys.stderr.write(f"not taken: {', '.join(sorted(missing))}\n")
    return 1 if missing else 0


@contextmanager
def watchpost_running(port: int) -> Iterator[str]:
    """The address of a Watchpost with the demo's settings, and with somebody who takes its notices."""
    rules, routes = (str(files("watchpost.cli.demo") / name) for name in ("rules.yaml", "routes.yaml"))
    with tempfile.TemporaryDirectory(prefix="watchpost-pictures-") as name, NoticeReceiver() as receiver:
        folder = Path(name)
        settings = SETTINGS.format(
            quiet=QUIET_S, budgets=_toml(BUDGETS), url=receiver.url, secret=receiver.secret, rules=rules, routes=routes
        )
        (folder / "watchpost.toml").write_text(settings, encoding="utf-8")
        said = folder / "said.txt"
        command = [str(Path(sys.executable).with_name("watchpost")), "serve", "--data", "data", "--port", str(port)]
        with said.open("wb") as sink:
            process = subprocess.Popen([*command, "--grpc-port", "0"], cwd=folder, stdout=sink, stderr=sink)
        try:
            yield _address(process, said)
        finally:
            process.terminate()
            process.wait(30)


def _toml(tables: Iterable[Mapping[str, object]]) -> str:
    inline = (
        ", ".join(f"{name} = {msgspec.json.encode(value).decode()}" for name, value in each.items()) for each in tables
    )
    return ", ".join(f"{{{each}}}" for each in inline)


def _address(process: subprocess.Popen[bytes], said: Path) -> str:
    for _ in range(int(START_S * 10)):
        if found := re.search(r"listens at (http://\S+)", said.read_text(encoding="utf-8")):
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise NothingToShowError(f"Watchpost did not start within {START_S:.0f} s:\n{said.read_text(encoding='utf-8')}")


def before(url: str, chance: random.Random) -> None:
    """Tell recorded runs again as if they had happened over the last two days, fewer of them at night."""
    healthy = [capture for capture in captures("incidents.zip") if capture.name == HEALTHY]
    recorded = [*healthy * 4, *(capture for capture in captures() if "killed" not in capture.name)]
    with TraceSender(url) as sender:
        for number in range(RUNS):
            capture = recorded[chance.randrange(len(recorded))]
            hours_ago = HOURS * (number + chance.random()) / RUNS + 0.5
            if chance.random() < 0.45 + 0.45 * math.sin(hours_ago / 24 * 2 * math.pi):
                continue
            ended_ns = now_ns() - int(hours_ago * 3600 * 10**9)
            texts = loan(100 + number) if capture.name == HEALTHY else {}
            for body in retell(capture, ended_ns=ended_ns, new_bytes=chance.randbytes, texts=texts):
                sender.send(body)


def wait_until_quiet(url: str) -> None:
    """Return once the same sessions run for `SAME_S`: one whose agent was killed is never over."""
    same, before = 0, {""}
    for _ in range(int(PATIENCE_S)):
        running = {session.key for session in _sessions(url, "state=running&limit=200")}
        same, before = (same + 1 if running == before else 0), running
        if same >= SAME_S:
            return
        time.sleep(1)
    raise NothingToShowError(f"{len(before)} sessions did not end within {PATIENCE_S:.0f} s")


def pages(url: str, browser: Browser) -> dict[str, str]:
    """The name and the address of every page: the places of the rail, what their first links lead to, and the session that loops."""
    places = {name: address for _, members in PLACES for name, address in members}
    found = dict(places)
    page = browser.new_context().new_page()
    for name, address in places.items():
        page.goto(url + address, wait_until="load")
        inner = _first_below(page, address) if address != "/" else ""
        if inner:
            found[name.removesuffix("s")] = inner
    page.context.close()
    failing = [
        (session, flag)
        for session in _sessions(url, f"flag={LOOPS}&limit=200")
        for flag in session.flags
        if session.workflow.startswith("refund") and flag.kind == LOOPS and flag.state == "confirmed"
    ]
    if not failing:
        raise NothingToShowError(f"no session of the refund agent has the flag {LOOPS}")
    session, flag = failing[0]
    return found | {
        "session": f"/sessions/{session.key}",
        "step": f"/sessions/{session.key}/steps/{flag.step_id}",
    }


def _first_below(page: Page, address: str) -> str:
    """Where the first link of a page's content leads that stands below the page's own address; empty where none does."""
    links = page.locator(f"main a[href^='{address}/']")
    return (links.first.get_attribute("href") or "") if links.count() else ""


def _sessions(url: str, question: str) -> Sequence[_Session]:
    with urlopen(f"{url}/api/sessions?{question}", timeout=30) as answer:  # noqa: S310 - our own process
        return msgspec.json.decode(answer.read(), type=_Sessions).sessions


def take(browser: Browser, address: str, picture: str, folder: Path | None) -> bool:
    """One picture, named by page, theme and device: into docs/images where it is shown there, and into the folder. Whether there was such a page."""
    _, theme, device = picture.rsplit("-", 2)
    width, height = SIZES[device]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        device_scale_factor=SHARPNESS,
    )
    page = context.new_page()
    answer = page.goto(address, wait_until="load")
    page.wait_for_selector(".waiting", state="detached")
    page.wait_for_timeout(SETTLE_MS)
    drawn = small(page.screenshot())
    context.close()
    if answer is None or not answer.ok:
        return False
    for place in (IMAGES if picture in SHOWN else None, folder):
        if place is not None:
            (place / f"{picture}.webp").write_bytes(drawn)
    sys.stdout.write(f"{picture}: {len(drawn) / 1000:.0f} kB{' - too big' if len(drawn) > BIGGEST else ''}\n")
    return True


def small(screenshot: bytes) -> bytes:
    """A picture as WebP without loss; where that is more than `BIGGEST` bytes, in as many colours as are not, or in the fewest."""
    drawn = Image.open(io.BytesIO(screenshot)).convert("RGB")
    packed = _packed(drawn)
    for colours in FEWER:
        if len(packed) <= BIGGEST:
            break
        packed = _packed(drawn.quantize(colours, dither=Image.Dither.NONE).convert("RGB"))
    return packed


def _packed(drawn: Image.Image) -> bytes:
    sink = io.BytesIO()
    drawn.save(sink, "WEBP", lossless=True, method=6)
    return sink.getvalue()


if __name__ == "__main__":
    sys.exit(main())
