"""From which sessions there is still something to learn."""

from __future__ import annotations

from watchpost.detect.attendance import ALL, MOST_WORKFLOWS, ONE_IN, Attendance
from watchpost.detect.learner import Ended


def taught(attendance: Attendance, times: int, workflow: str = "w", *, sound: bool = True) -> None:
    for _ in range(times):
        attendance.learn(Ended(workflow, (), sound))


def share(attendance: Attendance, workflow: str = "w") -> float:
    return sum(attendance.is_wanted(workflow, f"session {number}") for number in range(2000)) / 2000


def test_at_first_everything_is_wanted_and_then_a_tenth() -> None:
    attendance = Attendance()
    taught(attendance, ALL - 1)
    assert share(attendance) == 1
    taught(attendance, 1)
    assert 0.5 / ONE_IN < share(attendance) < 2 / ONE_IN


def test_each_workflow_is_counted_by_itself() -> None:
    attendance = Attendance()
    taught(attendance, ALL)
    assert share(attendance, "another") == 1


def test_what_is_not_sound_is_not_counted() -> None:
    attendance = Attendance()
    taught(attendance, 2 * ALL, sound=False)
    assert share(attendance) == 1


def test_counting_goes_on_where_it_was() -> None:
    first, second = Attendance(), Attendance()
    taught(first, ALL - 1)
    second.load("w", first.draft("w"))
    assert share(second) == 1
    taught(second, 1)
    assert share(second) < 1


def test_a_draft_changes_only_as_long_as_it_matters() -> None:
    attendance = Attendance()
    assert list(attendance.learn(Ended("w", (), sound=True))) == ["w"]
    taught(attendance, ALL)
    assert list(attendance.learn(Ended("w", (), sound=True))) == []


def test_names_without_end_are_not_kept() -> None:
    attendance = Attendance()
    for number in range(MOST_WORKFLOWS + 5):
        taught(attendance, 1, f"w{number}")
    taught(attendance, ALL, f"w{MOST_WORKFLOWS + 1}")
    assert share(attendance, f"w{MOST_WORKFLOWS + 1}") == 1
