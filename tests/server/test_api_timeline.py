"""The steps of a session as columns, and the page that draws them: what stands in which place."""

from __future__ import annotations

import re
from typing import cast

import msgspec
from server_fakes import House, Shelf

from watchpost.model.fact import Verdict
from watchpost.model.session import Summary, Totals
from watchpost.store.contracts import LedgerStep

COLUMNS = [
    "step_id", "trace", "parent", "start_us", "duration_us", "kind", "agent", "name", "status",
    "input_tokens", "output_tokens", "cost_usd",
]  # fmt: skip


class Flags(msgspec.Struct):
    kinds: list[str]
    severities: list[str]
    step: list[int]
    kind: list[int]
    severity: list[int]


class Timeline(msgspec.Struct):
    steps: int
    after: int
    next: int | None
    kinds: list[str]
    agents: list[str]
    names: list[str]
    statuses: list[str]
    traces: list[str]
    step_id: list[str]
    trace: list[int]
    parent: list[int]
    start_us: list[int]
    duration_us: list[int | None]
    kind: list[int]
    agent: list[int]
    name: list[int]
    status: list[int]
    input_tokens: list[int | None]
    output_tokens: list[int | None]
    cost_usd: list[str | None]
    flags: Flags


def asked(house: House, address: str) -> Timeline:
    answer = house.get(address)
    assert answer.status_code == 200
    return msgspec.json.decode(answer.content, type=Timeline)


def busy_session(shelf: Shelf) -> tuple[Summary, list[LedgerStep]]:
    """Two agents, three kinds, two traces; one step in another, one failed, one running."""
    session = shelf.add_session("busy", totals=Totals(steps=5))
    call = shelf.add_step(session, "llm", model="m-1", agent="planner", in_tok=12, out_tok=3, cost_nano=1_500_000)
    tool = shelf.add_step(session, agent="planner", status="error")
    inner = shelf.add_step(session, "llm", agent="helper", parent_id=tool.span_id, in_tok=7)
    other = shelf.add_step(session, "handoff", trace=2, agent="", name="")
    last = shelf.add_step(session, agent="planner", status="running", dur_us=None)
    return session, [call, tool, inner, other, last]


def test_columns_say_of_every_step_what_the_list_of_steps_says() -> None:
    house = House()
    session, _ = busy_session(house.shelf)
    columns = asked(house, f"/api/sessions/{session.key}/timeline")
    listed = house.get(f"/api/sessions/{session.key}/steps").json()["steps"]
    assert [len(cast("list[object]", getattr(columns, name))) for name in COLUMNS] == [len(listed)] * len(COLUMNS)
    for place, step in enumerate(listed):
        assert {
            "number": columns.after + place + 1,
            "step_id": columns.step_id[place],
            "trace_id": columns.traces[columns.trace[place]],
            "kind": columns.kinds[columns.kind[place]],
            "name": columns.names[columns.name[place]],
            "agent": columns.agents[columns.agent[place]],
            "status": columns.statuses[columns.status[place]],
            "duration_ms": None if (lasted := columns.duration_us[place]) is None else lasted / 1000,
            "input_tokens": columns.input_tokens[place],
            "output_tokens": columns.output_tokens[place],
            "cost_usd": columns.cost_usd[place],
        }.items() <= (step | {"name": step["name"] or step["kind"]}).items()
    assert columns.start_us == [100_000, 200_000, 300_000, 400_000, 500_000]
    assert (columns.steps, columns.next) == (5, None)


def test_a_step_within_another_names_it_by_its_number() -> None:
    house = House()
    session, _ = busy_session(house.shelf)
    assert asked(house, f"/api/sessions/{session.key}/timeline").parent == [0, 0, 2, 0, 0]


def test_no_step_is_within_itself_or_one_that_began_later() -> None:
    house = House()
    session = house.shelf.add_session("a")
    house.shelf.add_step(session, parent_id=(2).to_bytes(8, "big"))
    house.shelf.add_step(session, parent_id=(2).to_bytes(8, "big"))
    assert asked(house, f"/api/sessions/{session.key}/timeline").parent == [0, 0]


def test_flags_stand_by_number_unless_they_were_withdrawn_or_dismissed() -> None:
    house = House()
    session, steps = busy_session(house.shelf)
    house.shelf.add_flag(session, steps[3], kind="later")
    house.shelf.add_flag(session, steps[1], kind="sooner", severity="critical")
    house.shelf.add_flag(session, steps[0], kind="gone", state="withdrawn")
    wrong = house.shelf.add_flag(session, steps[0], kind="wrong")
    house.shelf.given.append(Verdict(wrong.id, "dismiss", "", "", 1))
    house.shelf.add_flag(session, msgspec.structs.replace(steps[0], span_id=b"\xff" * 8), kind="nowhere")
    flags = asked(house, f"/api/sessions/{session.key}/timeline").flags
    told = [
        (number, flags.kinds[kind], flags.severities[severity])
        for number, kind, severity in zip(flags.step, flags.kind, flags.severity, strict=True)
    ]
    assert told == [(2, "sooner", "critical"), (4, "later", "high")]


def test_a_timeline_is_read_page_by_page_or_from_where_it_was_left() -> None:
    house = House()
    session, steps = busy_session(house.shelf)
    address = f"/api/sessions/{session.key}/timeline"
    first = asked(house, f"{address}?limit=2")
    second = asked(house, f"{address}?limit=3&after={first.next}")
    assert (first.next, second.after, second.next) == (2, 2, None)
    assert [*first.step_id, *second.step_id] == [step.span_id.hex() for step in steps]
    assert asked(house, f"{address}?after=5").step_id == []


def test_a_key_never_seen_and_a_session_that_moved_are_answered_as_elsewhere() -> None:
    house = House()
    kept = house.shelf.add_session("kept")
    moved = house.shelf.add_session("moved", moved_to=kept.key)
    assert house.get("/api/sessions/nosuchkey/timeline").status_code == 404
    answer = house.get(f"/api/sessions/{moved.key}/timeline?after=3")
    assert answer.status_code == 308
    assert answer.headers["location"] == f"/api/sessions/{kept.key}/timeline?after=3"


def test_a_step_is_found_by_the_number_it_had_and_also_where_that_is_wrong() -> None:
    house = House()
    session, steps = busy_session(house.shelf)
    for near in (0, 3, 2000):
        address = f"/api/sessions/{session.key}/steps/{steps[2].span_id.hex()}"
        found = house.get(f"{address}?trace_id={steps[2].trace_id.hex()}&near={near}").json()
        assert (found["number"], found["agent"]) == (3, "helper")


def test_the_page_says_what_came_of_the_session_and_what_each_agent_did() -> None:
    house = House()
    session, _ = busy_session(house.shelf)
    page = re.sub(r"<[^>]+>|\s+", " ", house.get(f"/sessions/{session.key}").text)
    text = " ".join(page.split())
    assert "completed 5 steps by 3 agents in 2.5 s" in text
    assert "planner 3 steps from 1 , 1 failed , 12 → 3 tokens, $0.0015" in text
    assert "helper 1 step from 3 , 7 → – tokens" in text
    assert "not named 1 step from 4" in text


def test_an_address_with_a_step_lists_its_page_and_marks_its_row() -> None:
    house = House()
    session = house.shelf.add_session("long", totals=Totals(steps=450))
    steps = [house.shelf.add_step(session) for _ in range(450)]
    span = steps[300].span_id.hex()
    page = house.get(f"/sessions/{session.key}?step={span}").text
    assert "201 to 400 of 450" in page
    assert f'<tr class="ok chosen" id="step-{span}">' in page
    assert page.count("chosen") == 1
    assert "1 to 200 of 450" in house.get(f"/sessions/{session.key}?step=nothing").text


def test_rows_have_ids_of_their_own_where_two_traces_share_a_step_id() -> None:
    house = House()
    session = house.shelf.add_session("twins")
    first = house.shelf.add_step(session)
    house.shelf.add_step(session, trace=2, span_id=first.span_id)
    ids = re.findall(r'<tr class="[^"]*" id="([^"]+)"', house.get(f"/sessions/{session.key}").text)
    assert ids[0] == f"step-{first.span_id.hex()}"
    assert len(set(ids)) == 2
