"""The pages of measures: the catalogue, one question with its figures, and the sessions behind a point."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from watchpost.query.catalogue import MEASURES
from watchpost.query.measures import Of, Quantile, Ratio, Tier
from watchpost.query.releases import ReleaseFilter
from watchpost.rules.quantity import duration_text
from watchpost.server.answers import SessionAnswer
from watchpost.server.archive import Archive
from watchpost.server.measures import ContributorAnswer, MeasureAnswer, MeasuredAnswer, Measures
from watchpost.server.pages.chart import seconds
from watchpost.server.pages.figure import in_unit
from watchpost.server.pages.measure_elsewhere import elsewhere
from watchpost.server.pages.measure_figures import COUNTED, figures
from watchpost.server.pages.measure_question import BY_FIELDS, TOP, WINDOWS, Asking, Pair, read, with_query, written
from watchpost.server.pages.rendering import rendered
from watchpost.server.problem import NotFoundError, ParameterError, ParameterFault
from watchpost.server.releases import ReleaseAnswer, ReleaseBook

TIERS: Mapping[str, tuple[str, str]] = {
    "infrastructure": ("Infrastructure", "How fast, how often, and what fails."),
    "llm": ("Models", "What models use, cost and do."),
    "quality": ("Quality", "What came of it."),
    "own": ("Watchpost itself", "Whether anything is lost, late or full. No sessions stand behind these."),
}
"""How the parts of the catalogue are called, and what they say."""

STEPS = ("1m", "5m", "10m", "30m", "1h", "4h", "1d", "1w")
COMPARED: Mapping[str, str] = {
    "": "nothing",
    "previous": "the window before",
    "1d": "1 day before",
    "7d": "7 days before",
}
QUANTILES = ("0.5", "0.9", "0.95", "0.99")
TOPS = ("5", "10", TOP, "50", "200")

RELEASES = 20
"""How many of the latest releases are offered to be compared with."""

SESSIONS = 25
"""How many sessions stand on one page."""


class Behind(msgspec.Struct, frozen=True):
    """A session behind a point; `session` is None where no more than its key is kept."""

    contributor: ContributorAnswer
    session: SessionAnswer | None


def router(measures: Measures, releases: ReleaseBook, archive: Archive, now_ns: Callable[[], int]) -> APIRouter:
    """The routes. They read the stores, so they are plain functions, which run in worker threads."""
    routes = APIRouter(prefix="/measures", include_in_schema=False, default_response_class=HTMLResponse)

    @routes.get("")
    def catalogue(q: str = "") -> Response:
        return rendered("measures.html", q=q, tiers=_tiers(measures, q), all=len(MEASURES))

    @routes.get("/{name}")
    def explore(request: Request, name: str) -> Response:
        _check(name)
        asking, is_plain = read(request.query_params.multi_items())
        if not is_plain:
            return RedirectResponse(asking.address(name), 303)
        offered = releases.page(ReleaseFilter(limit=RELEASES)).releases
        return _explored(measures, name, asking, now_ns(), offered)

    @routes.get("/{name}/sessions")
    def sessions(request: Request, name: str) -> Response:
        _check(name)
        return _behind(measures, archive, name, request.query_params.multi_items())

    return routes


def _check(name: str) -> None:
    if name not in MEASURES:
        raise NotFoundError(f"no measure is called {name}; /measures lists them")


def _tiers(measures: Measures, q: str) -> list[tuple[str, str, str, list[MeasureAnswer]]]:
    """The measures in whose name, unit, tier or meaning all words of a text stand, by tier."""
    words = q.lower().split()
    found: dict[str, list[MeasureAnswer]] = {tier: [] for tier in TIERS}
    for each in measures.catalogue().measures:
        tier = _tier(each.of, each.tier)
        told = f"{each.name} {each.name.replace('_', ' ')} {each.unit} {each.of} {TIERS[tier][0]} {each.means}".lower()
        if all(word in told for word in words):
            found[tier].append(each)
    return [(tier, *TIERS[tier], members) for tier, members in found.items() if members]


def _tier(of: Of, tier: Tier) -> str:
    """In which part of the catalogue a measure stands."""
    return "own" if of == "sample" else tier


def _explored(measures: Measures, name: str, asking: Asking, now_ns: int, offered: list[ReleaseAnswer]) -> Response:
    times = asking.times(now_ns)
    answer: MeasuredAnswer | None = None
    fault: ParameterFault | None = None
    try:
        answer = measures.answer(name, asking.asked(times, asking.step or "auto"))
    except ParameterError as error:
        fault = error.fault
    shown, other = None, None
    if answer is not None:
        shown = figures(answer, asking)
        other = elsewhere(answer, asking.asked(times, duration_text(_step_ns(answer))))
    measure = MEASURES[name]
    return rendered(
        "measure.html",
        200 if fault is None else 422,
        name=name,
        measure=measure,
        tier=TIERS[_tier(measure.of, measure.tier)][0],
        anchor=_tier(measure.of, measure.tier),
        asking=asking,
        answer=answer,
        fault=fault,
        step="" if answer is None else duration_text(_step_ns(answer)),
        shift=_shift(name, asking, answer, now_ns),
        released=_released(name, asking, answer),
        unfiltered=asking.address(name, filters=()),
        figures=shown,
        elsewhere=other,
        counted=COUNTED[measure.of],
        windows=[(each, asking.address(name, window=each, since="", until="")) for each in WINDOWS],
        chips=[(*pair, _without(name, asking, pair)) for pair in asking.filters],
        compared=_compared(asking, offered),
        steps=_with(STEPS, asking.step),
        quantiles=_with(QUANTILES, asking.quantile) if isinstance(measure.formula, Quantile) else (),
        tops=_with(TOPS, asking.top),
        usual_top=TOP,
        by_fields=BY_FIELDS,
    )


def _step_ns(answer: MeasuredAnswer) -> int:
    return round((answer.step or 0) * 10**9)


def _shift(name: str, asking: Asking, answer: MeasuredAnswer | None, now_ns: int) -> tuple[str, str] | None:
    """The same question of the window before, and of the one after, empty for one that has not begun."""
    if answer is None or asking.compare.startswith("release:"):
        return None
    since_ns, until_ns = (round(seconds(each) * 10**6) * 1000 for each in (answer.since, answer.until))
    length_ns = until_ns - since_ns

    def at(start_ns: int) -> str:
        return asking.address(name, window="", since=written(start_ns), until=written(start_ns + length_ns))

    return at(since_ns - length_ns), at(until_ns) if until_ns < now_ns else ""


def _released(name: str, asking: Asking, answer: MeasuredAnswer | None) -> list[tuple[ReleaseAnswer, str]]:
    """The releases of an answer, each with the address that compares what was before and after it."""
    if answer is None:
        return []
    return [(each, asking.address(name, compare=f"release:{each.id}")) for each in answer.releases]


def _with(known: tuple[str, ...], chosen: str) -> tuple[str, ...]:
    """What can be chosen, with what was chosen, whatever it is."""
    return known if not chosen or chosen in known else (*known, chosen)


def _compared(asking: Asking, offered: list[ReleaseAnswer]) -> list[Pair]:
    """With what a window can be compared, by the value of the parameter."""
    named = {
        f"release:{each.id}": f"before {each.kind} {each.name} {each.version}".strip()
        for each in offered
        if not each.began
    }
    known = {**COMPARED, **named}
    if asking.compare not in known:
        known[asking.compare] = asking.compare
    return [*known.items()]


def _without(name: str, asking: Asking, pair: Pair) -> str:
    return asking.address(name, filters=tuple(each for each in asking.filters if each != pair))


def _behind(measures: Measures, archive: Archive, name: str, parameters: list[Pair]) -> Response:
    """The sessions behind a point, and the point itself."""
    given = [pair for pair in parameters if pair[0] != "limit" and (pair[1] or pair[0] in MEASURES[name].dimensions)]
    point = [pair for pair in given if pair[0] not in {"part", "cursor"}]
    measure, path = MEASURES[name], f"/measures/{name}/sessions"
    asking, _ = read(point)
    part = dict(given).get("part", "all")
    if measure.of == "sample":
        return rendered(
            "measure_sessions.html", name=name, measure=measure, asking=asking, rows=None, up=f"/measures/{name}"
        )
    answer = measures.answer(name, point)
    page = measures.sessions(name, [*given, ("limit", str(SESSIONS))])
    held = {each.key: each for each in archive.listed([one.key for one in page.sessions])}
    total = answer.series[0].total
    first = [pair for pair in given if pair[0] != "cursor"]
    whole = [pair for pair in first if pair[0] != "part"]
    return rendered(
        "measure_sessions.html",
        name=name,
        measure=measure,
        asking=asking,
        answer=answer,
        total=total,
        value=in_unit(total.value, measure.unit),
        counted=COUNTED[measure.of],
        part=part,
        parts_of=[("all", with_query(path, whole)), ("over", with_query(path, [*whole, ("part", "over")]))]
        if isinstance(measure.formula, Ratio)
        else [],
        rows=[Behind(one, held.get(one.key)) for one in page.sessions],
        later="cursor" in dict(given),
        first_page=with_query(path, first),
        next_page=with_query(path, [*first, ("cursor", page.next)]) if page.next else None,
        up=asking.address(name),
    )
