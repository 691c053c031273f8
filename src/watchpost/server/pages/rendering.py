"""What pages are made with: templates, the addresses of our own style sheets and scripts, and the page that says what went wrong."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from watchpost.model.flag import FlagState
from watchpost.model.session import Outcome, State
from watchpost.server.answers import FlagAnswer, moment
from watchpost.server.pages import chart, display, nearness
from watchpost.server.pages.conversation import structured
from watchpost.server.pages.static_files import KeptForGood
from watchpost.server.problem import Problem
from watchpost.server.review import NOTE_LENGTH, way_on

_HERE = Path(__file__).parent.parent
_STATIC = _HERE / "static"
_PROGRAM_PATHS = ("/api/", "/v1/", "/static/", "/live", "/openapi.json", "/healthz", "/readyz", "/metrics")

PLACES = (
    ("Now", (("overview", "/"), ("alerts", "/alerts"), ("flags", "/flags"))),
    ("Look", (("sessions", "/sessions"), ("logs", "/logs"), ("measures", "/measures"), ("costs", "/costs"), ("tools", "/tools"))),
    ("Judge", (("rules", "/rules"), ("precision", "/precision"))),
    ("Keep", (("health", "/health"), ("settings", "/settings"))),
)  # fmt: skip
"""What the rail leads to, under its headings: the name of a place and its address. A page's template says its own by `{% set place %}`."""

NO_STORE = {"cache-control": "no-store"}


def static_files() -> StaticFiles:
    """Our own style sheets, scripts and icon, and those of others that are kept beside them; they belong at `STATIC_PATH`."""
    return KeptForGood(_STATIC)


def is_page(request: Request) -> bool:
    """Whether a person asked, and is to be answered with a page also where something is wrong."""
    return not request.url.path.startswith(_PROGRAM_PATHS)


def error_page(request: Request, answer: Problem) -> Response:
    """What went wrong, and the way back."""
    return rendered("error.html", status=answer.status, problem=answer, back=_back(request))


def _back(request: Request) -> str:
    """The page of ours that a request came from, empty where it came from none."""
    came = urlsplit(request.headers.get("referer", ""))
    if came.netloc != request.url.netloc or came.path == request.url.path or came.path.startswith("//"):
        return ""
    return f"{came.path}?{came.query}" if came.query else came.path


def rendered(template: str, status: int = 200, **values: object) -> Response:
    """A page of one of the templates, which nobody keeps."""
    return HTMLResponse(_TEMPLATES.get_template(template).render(**values), status, headers=NO_STORE)


def _environment() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for look in (
        display.shown,
        display.block,
        display.json_block,
        display.is_blank,
        display.is_short,
        display.is_flat,
        display.count,
        display.told,
        display.money,
        display.clock,
    ):
        templates.filters[look.__name__] = look
    templates.filters["duration"] = display.duration
    templates.filters |= {"amount": display.amount, "size": display.size, "span": display.span}
    templates.filters |= {"ago": nearness.ago, "stamp": nearness.stamp, "short": nearness.short}
    templates.filters["json"] = _json
    templates.filters["structured"] = structured
    templates.filters["numbered"] = lambda items: [*enumerate(items)]
    templates.globals.update(
        asset=_asset,
        places=PLACES,
        between=display.between,
        change=chart.change,
        spark=chart.spark,
        moment=moment,
        offset=display.offset,
        tally=_tally,
        put_aside=_put_aside,
        states=get_args(State),
        outcomes=get_args(Outcome),
        flag_states=get_args(FlagState),
        note_length=NOTE_LENGTH,
        way_on=way_on,
    )
    return templates


def _asset(name: str) -> str:
    """The address of a file of ours, by its name below `static/`."""
    return f"{STATIC_PATH}/{name}"


def _digest() -> str:
    """A digest of all files below `static/`. Scripts import one another by relative addresses, so they change together."""
    digest = hashlib.blake2b(digest_size=6)
    for file in sorted(path for path in _STATIC.rglob("*") if path.is_file()):
        digest.update(file.relative_to(_STATIC).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _json(value: object) -> str:
    """A value as JSON, to stand in an attribute."""
    return msgspec.json.encode(value).decode()


def _tally(flags: list[FlagAnswer]) -> list[tuple[str, str, int]]:
    """(kind, severity, how many) of the flags that hold and were not dismissed, in their order."""
    counted: dict[tuple[str, str], int] = {}
    for flag in flags:
        if _standing(flag):
            counted[flag.kind, flag.severity] = counted.get((flag.kind, flag.severity), 0) + 1
    return [(kind, severity, many) for (kind, severity), many in counted.items()]


def _put_aside(flags: list[FlagAnswer]) -> int:
    """How many of the flags were dismissed or withdrawn."""
    return sum(not _standing(flag) for flag in flags)


def _standing(flag: FlagAnswer) -> bool:
    """Whether it holds and nobody dismissed it."""
    return flag.state != "withdrawn" and (flag.verdict is None or flag.verdict.verdict != "dismiss")


STATIC_PATH = f"/static/{_digest()}"
_TEMPLATES = _environment()
