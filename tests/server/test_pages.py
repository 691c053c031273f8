"""The pages, as HTML: what they show, where they lead, and that hostile text stays text."""

from __future__ import annotations

import html.parser
import re

import pytest
from server_fakes import House

from watchpost.model.session import Totals
from watchpost.model.telemetry import LogLine

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}\u202etxt.exe\x1b[31m\u200b"
NAMED_REFERENCES = {"&lt;", "&gt;", "&#34;", "&#39;"}


def content_of(page: str) -> str:
    """What stands on a page inside of the frame that every page has, and its title; a part of a page is left as it is."""
    title = re.search(r"<title>.*?</title>", page, re.DOTALL)
    main = re.search(r"<main.*</main>", page, re.DOTALL)
    return (title[0] if title else "") + (main[0] if main else page)


class Marks(html.parser.HTMLParser):
    """Every tag of a page's content with its attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(content_of(page))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def links(self) -> list[str]:
        return [attrs["href"] or "" for tag, attrs in self.tags if tag == "a"]


def hostile_house() -> tuple[House, str, str]:
    house = House()
    session = house.shelf.add_session(HOSTILE, workflow=HOSTILE, user_id=HOSTILE, project="default")
    step = house.shelf.add_step(
        session, name=HOSTILE, agent=HOSTILE, tool=HOSTILE, error_type=HOSTILE, status="error", input=HOSTILE,
        output=HOSTILE, rest='{"attributes": {"<u>": "<script>"}, "status_message": "<script>"}', refs="input=<i>",
    )  # fmt: skip
    evidence = {
        HOSTILE: HOSTILE,
        "list": [HOSTILE],
        "nested": {"a": [HOSTILE]},
        "long": HOSTILE * 10,
        "steps": ["\x00" * 16],
    }
    house.shelf.add_flag(session, step, kind=HOSTILE, summary=HOSTILE, evidence=evidence)
    house.shelf.lines += [
        ("default", LogLine(1, 9, step.trace_id, step.span_id, HOSTILE, body, {}))
        for body in (HOSTILE, {HOSTILE: HOSTILE})
    ]
    return house, session.key, step.span_id.hex()


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/sessions",
        "/sessions?workflow={hostile}",
        "/sessions/{key}",
        "/sessions/{key}/steps/{step}",
        "/sessions/{hostile}",
        "/{hostile}",
    ],
)
def test_hostile_text_stays_text(address: str) -> None:
    house, key, step = hostile_house()
    quoted = "".join(f"%{byte:02x}" for byte in HOSTILE.encode())
    page = house.get(address.format(key=key, step=step, hostile=quoted)).text
    marks = Marks(page)
    tags = {tag for tag, _ in marks.tags}
    assert not tags & {"script", "img", "u", "i", "style"}
    assert not [attrs for _, attrs in marks.tags if any(name.startswith("on") or name == "style" for name in attrs)]
    assert not re.search("[\u202e\x1b\u200b\x00]", re.sub(r'value="[^"]*"', "", page))
    assert "49" not in marks.text


def test_hidden_characters_are_shown_by_their_code_points() -> None:
    house, key, step = hostile_house()
    text = Marks(house.get(f"/sessions/{key}/steps/{step}").text).text
    assert "U+202Etxt.exeU+001B[31mU+200B" in text


def test_every_link_of_every_page_leads_somewhere() -> None:
    house, _, _ = hostile_house()
    session = house.shelf.add_session("long", at=5, totals=Totals(steps=401))
    steps = [house.shelf.add_step(session) for _ in range(401)]
    house.shelf.add_flag(session, steps[300], evidence={"steps": [steps[0].span_id.hex(), steps[300].span_id.hex()]})
    for n in range(60):
        house.shelf.add_session(f"s{n}", at=-n)
    seen: set[str] = set()
    waiting = ["/", "/sessions", "/flags"]
    while waiting:
        address = waiting.pop()
        path = address.partition("#")[0]
        if path in seen or len(seen) > 150:
            continue
        seen.add(path)
        answer = house.get(path)
        assert answer.status_code == 200, path
        if answer.headers["content-type"].startswith("text/html"):
            base = path.partition("?")[0]
            waiting += [
                base + link if link.startswith("?") else link for link in Marks(answer.text).links if link[0] != "#"
            ]
    assert len(seen) > 100


def test_an_empty_watchpost_says_what_to_set() -> None:
    text = Marks(House().get("/sessions", host="127.0.0.1:8484").text).text
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:8484" in text
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf" in text


def test_a_filter_that_finds_nothing_says_so_and_keeps_what_was_asked() -> None:
    house = House()
    house.shelf.add_session("a")
    page = house.get("/sessions?workflow=none&state=running").text
    assert "No session matches" in page
    assert 'value="none"' in page
    assert '<option value="running" selected>running</option>' in page


def test_the_sessions_page_shows_each_session_and_leads_to_earlier_ones() -> None:
    house = House()
    totals = Totals(steps=1234, input_tokens=5000, output_tokens=None, cost_nano=1_500_000_000)
    session = house.shelf.add_session("conv-1", at=9, outcome="budget_exceeded", totals=totals)
    step = house.shelf.add_step(session)
    house.shelf.add_flag(session, step)
    house.shelf.add_flag(session, step)
    house.shelf.add_flag(session, step, kind="gone", state="withdrawn")
    for n in range(60):
        house.shelf.add_session(f"s{n}", at=-n)
    marks = Marks(house.get("/sessions?workflow=refunds").text)
    for shown in ("conv-1", "budget exceeded", "loop ×2", "1,234", "5,000", "$1.50", "u-1", "20:26:49"):
        assert shown in marks.text
    assert "gone" not in marks.text
    earlier = [link for link in marks.links if "cursor=" in link]
    assert len(earlier) == 1
    assert "workflow=refunds" in earlier[0]
    assert "s59" in Marks(house.get(earlier[0]).text).text


def test_the_session_page_shows_flags_before_steps_and_names_steps_in_evidence() -> None:
    house = House()
    session = house.shelf.add_session("a", totals=Totals(steps=3, tool_errors=1))
    steps = [house.shelf.add_step(session) for _ in range(3)]
    house.shelf.add_flag(session, steps[2], evidence={"steps": [steps[0].span_id.hex(), steps[2].span_id.hex()]})
    page = house.get(f"/sessions/{session.key}").text
    marks = Marks(page)
    assert page.index("was called 4 times") < page.index("<table")
    assert re.search(r"loop\s+at\s+step 3", marks.text)
    assert "step 1" in marks.text
    assert f"/sessions/{session.key}/steps/{steps[0].span_id.hex()}?trace_id={steps[0].trace_id.hex()}" in marks.links


def test_steps_are_paged_by_two_hundred() -> None:
    house = House()
    session = house.shelf.add_session("a", totals=Totals(steps=450))
    for _ in range(450):
        house.shelf.add_step(session)
    pages = [house.get(f"/sessions/{session.key}?after={after}").text for after in (0, 200, 400)]
    assert [page.count("<tr class=") for page in pages] == [200, 200, 50]
    assert "201 to 400 of 450" in Marks(pages[1]).text
    assert "?after=0#steps" in Marks(pages[1]).links
    assert "?after=400#steps" in Marks(pages[1]).links


def test_a_long_text_is_cut_with_a_way_to_all_of_it() -> None:
    house = House()
    session = house.shelf.add_session("a")
    text = "line\n" * 10_000 + "<b>the end\u202e"
    step = house.shelf.add_step(session, output=text)
    address = f"/sessions/{session.key}/steps/{step.span_id.hex()}"
    page = house.get(address).text
    assert len(page) < 20_000
    assert "50,011 characters" in page
    raw = next(link for link in Marks(page).links if "/raw/output" in link)
    answer = house.get(raw)
    assert answer.text == text
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_pages_are_not_kept_by_browsers_and_the_style_sheet_is_there() -> None:
    house = House()
    page = house.get("/")
    assert page.headers["cache-control"] == "no-store"
    style = re.search(r'href="(/static/[^"]+css[^"]*)"', page.text)
    assert style
    assert house.get(style[1]).headers["content-type"].startswith("text/css")


@pytest.mark.parametrize("address", ["/sessions/nosuchkey", "/nothing", "/sessions/x/steps/y"])
def test_what_does_not_exist_is_a_page_that_says_so(address: str) -> None:
    answer = House().get(address)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "Not Found" in answer.text


def test_a_bad_parameter_of_a_page_is_named_on_a_page() -> None:
    answer = House().get("/sessions?limit=0")
    assert answer.status_code == 422
    assert "limit:" in answer.text


def evidence_of(**evidence: object) -> tuple[str, Marks]:
    """The page of a session with one flag of this evidence: what stands between its summary and its buttons, and the whole."""
    house = House()
    session = house.shelf.add_session("a")
    house.shelf.add_flag(session, house.shelf.add_step(session), evidence=evidence)
    answer = house.get(f"/sessions/{session.key}")
    assert answer.status_code == 200
    page = answer.text
    found = re.search(r'<dl class="evidence">(.*?)</dl>', page, re.DOTALL)
    return " ".join(Marks(found[1].replace("</dt>", "</dt> ") if found else "").text.split()), Marks(page)


def test_evidence_reads_without_the_brackets_of_json_where_it_is_short() -> None:
    renamed = [{"from": "annual_income", "to": "income_annual", "alike": "names"}]
    text, marks = evidence_of(renamed=renamed, expected_end={"steps": 5, "at": "12:59"}, known=["A-1", "A-2"], value=0)
    assert text == (
        "renamed from annual_income to income_annual alike names expected end steps 5 at 12:59 known A-1 A-2 value 0"
    )
    assert "pre" not in {tag for tag, _ in marks.tags}


def test_evidence_that_is_long_or_deep_is_a_box_of_json() -> None:
    for value in ({"a": {"b": {"c": 1}}}, [[1, 2]], ["x" * 301], [*range(101)], {str(n): n for n in range(9)}):
        _, marks = evidence_of(measured=value)
        assert [tag for tag, _ in marks.tags].count("pre") == 1, value
    text, marks = evidence_of(answer="word " * 100)
    assert [tag for tag, _ in marks.tags].count("pre") == 1
    assert text.startswith("answer word word")


def test_evidence_that_says_nothing_is_left_out() -> None:
    text, _ = evidence_of(
        nothing=None, empty="", none=[], no={}, hollow={"a": None}, zero=0, false=False, pairs={"a": "", "b": 1}
    )
    assert text == "zero 0 false False pairs b 1"
    assert evidence_of(nothing=None)[0] == ""
    assert evidence_of()[0] == ""


def test_evidence_however_deep_it_nests_is_shown() -> None:
    deep: object = "the end"
    for _ in range(300):
        deep = [deep]
    text, _ = evidence_of(deep=deep)
    assert text.startswith("deep [")


def test_a_span_in_evidence_is_a_link_to_its_step_wherever_it_stands() -> None:
    house = House()
    session = house.shelf.add_session("a")
    step = house.shelf.add_step(session)
    span = step.span_id.hex()
    house.shelf.add_flag(
        session, step, evidence={"first": span, "calls": [{"span_id": span, "arguments": "{}"}], "other": "b" * 16}
    )
    marks = Marks(house.get(f"/sessions/{session.key}").text)
    address = f"/sessions/{session.key}/steps/{span}?trace_id={step.trace_id.hex()}"
    assert marks.links.count(address) == 4  # the flag's own, two in its evidence, and the row of the step
    assert "b" * 16 in marks.text


def test_of_very_many_flags_fifty_are_shown_and_the_others_are_counted() -> None:
    house = House()
    session = house.shelf.add_session("a")
    step = house.shelf.add_step(session)
    for _ in range(60):
        house.shelf.add_flag(session, step)
    page = house.get(f"/sessions/{session.key}").text
    assert page.count("<article") == 50
    assert "10 more stand at their steps" in Marks(page).text
    assert re.search(r"loop ×60", Marks(page).text)


def test_a_withdrawn_flag_is_shown_as_such_and_counts_for_nothing() -> None:
    house = House()
    session = house.shelf.add_session("a")
    house.shelf.add_flag(session, house.shelf.add_step(session), kind="STALE_DATA", state="withdrawn")
    page = house.get(f"/sessions/{session.key}").text
    assert 'class="finding high withdrawn"' in page
    assert Marks(page).text.count("STALE_DATA") == 1
    assert "withdrawn" in Marks(house.get("/flags").text).text


def test_a_listed_flag_says_at_which_step_it_stands() -> None:
    house = House()
    session = house.shelf.add_session("a")
    steps = [house.shelf.add_step(session) for _ in range(3)]
    house.shelf.add_flag(session, steps[2])
    address = f"/sessions/{session.key}/steps/{steps[2].span_id.hex()}?trace_id={steps[2].trace_id.hex()}"
    assert f'<a href="{address}">step 3</a>' in house.get("/flags").text
