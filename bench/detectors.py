"""How often every detector flags real runs that went well, and what it finds of faults put into them.

    python bench/detectors.py --sessions DIRECTORY [--databases DIRECTORY] [--only NAME] [--json]

DIRECTORY holds `*.jsonl.gz`, as `real_runs` says. They are loaded once, as the product reads and redacts them, and each measurement gets those
whose outcome is known. The outcome says in which row a run counts and reaches no detector, but for those that learn: `drift`, `hallucination`
and `r23` say what theirs learn from. Every share comes with its 95 % Wilson interval; what is drawn is drawn by fixed seeds. With the
databases behind runs (`*.json.gz`, objects keyed by id), ids that models made up are counted too. It prints Markdown, or JSON.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from context_drift import measure_context_drift
from drift import measure_schema_drift
from hallucination import measure_hallucination
from injection import measure_injection
from loops import measure_loops
from r23 import measure_r23
from rates import Rate, Sheet, by_file
from real_runs import Run, runs
from user_signals import measure_user_signals
from watchpost.detect import attendance
from watchpost.detect.attendance import Attendance
from watchpost.detect.catalogue import learners, makes
from watchpost.detect.detector import Surroundings
from watchpost.detect.known import KnowledgeBase
from watchpost.detect.learner import Ended
from watchpost.detect.run import DetectorRun
from watchpost.runtime.judge import HARMLESS

GRAVE = frozenset({"critical", "high"})

Measure = Callable[[Sequence[Run], Path | None], Sequence[Sheet]]
"""From runs whose outcome is known, and perhaps databases, to a sheet for each detector."""


def measure_together(found: Sequence[Run]) -> Sheet:
    """All detectors as they are by default, with each file a project whose sessions end one after the other.

    What is known grows as in a server: sessions without a flag teach, whether or not they really went well, since nobody tells it.
    """
    kinds: list[frozenset[str]] = []
    grave: list[frozenset[str]] = []
    made, knowledge = makes({}), KnowledgeBase(learners({}))
    for run in found:
        around = Surroundings(run.file, run.workflow, knowledge.at(run.file, knowledge.version(run.file)))
        judged = DetectorRun(made, around)
        judged.update(run.steps, 0, around)
        kinds.append(frozenset(finding.kind for _, finding in judged.findings))
        grave.append(frozenset(finding.kind for _, finding in judged.findings if finding.severity in GRAVE))
        sound, counted = not kinds[-1] - HARMLESS, knowledge.learner(run.file, attendance.KIND)
        if not sound or not isinstance(counted, Attendance) or counted.is_wanted(run.workflow, run.session_id):
            knowledge.learn(run.file, Ended(run.workflow, run.steps, sound), 0)
        knowledge.news()
    clean = [number for number, run in enumerate(found) if not run.truth.get("attack")]
    vain = [number for number, run in enumerate(found) if not run.truth.get("attack_succeeded")]
    graves, everyone = [bool(each) for each in grave], range(len(found))
    by_kind = Counter(kind for run, each in zip(found, grave, strict=True) if run.succeeded for kind in each)
    good = sum(run.succeeded is True for run in found)
    rates = [
        Rate(f"{rate.what}{what}", rate.hits, rate.n)
        for what, numbers in (
            (", high or critical", everyone),
            (", high or critical, without the attacks that succeeded", vain),
            (", high or critical, without attack", clean),
        )
        for rate in by_file([found[n] for n in numbers], [graves[n] for n in numbers], succeeded=True)
    ]
    return Sheet(
        "ALL_TOGETHER",
        [rate for rate in rates if rate.what.startswith("all,")],
        beside=[
            *(rate for rate in rates if not rate.what.startswith("all,")),
            *(
                Rate(f"{rate.what}, {what}", rate.hits, rate.n)
                for what, each, succeeded in (
                    ("any severity", [bool(held) for held in kinds], True),
                    ("high or critical", graves, False),
                    ("any severity", [bool(held) for held in kinds], False),
                )
                for rate in by_file(found, each, succeeded=succeeded)
            ),
            *(Rate(f"successful, high or critical {kind}", count, good) for kind, count in sorted(by_kind.items())),
        ],
    )


MEASURES: Mapping[str, Measure] = {
    "loops": lambda found, _: [measure_loops(found)],
    "schema_drift": lambda found, _: [measure_schema_drift(found)],
    "hallucination": lambda found, databases: [measure_hallucination(found, databases)],
    "injection": lambda found, _: [measure_injection(found)],
    "context_drift": lambda found, _: [measure_context_drift(found)],
    "r23": lambda found, _: measure_r23(found),
    "user_signals": lambda found, _: measure_user_signals(found),
    "together": lambda found, _: [measure_together(found)],
}


def render(sheets: Sequence[Sheet]) -> str:
    """Two tables of all detectors, and everything that was counted."""
    return "\n".join(_lines(sheets))


def _lines(sheets: Sequence[Sheet]) -> Iterator[str]:
    yield from ("| detector | sessions that went well | flagged | per 100 | 95 % interval |", "|---|---|---|---|---|")
    yield from (f"| `{sheet.detector}` | {rate.what} | {rate.cells} |" for sheet in sheets for rate in sheet.false)
    yield from ("", "| detector | fault | found | per 100 | 95 % interval |", "|---|---|---|---|---|")
    yield from (f"| `{sheet.detector}` | {rate.what} | {rate.cells} |" for sheet in sheets for rate in sheet.found)
    yield from ("", "| detector | also counted | how often | per 100 | 95 % interval |", "|---|---|---|---|---|")
    yield from (f"| `{sheet.detector}` | {rate.what} | {rate.cells} |" for sheet in sheets for rate in sheet.beside)
    yield from ("", "| detector | figure | value |", "|---|---|---|")
    yield from (
        f"| `{sheet.detector}` | {what} | {value:.2f} |" for sheet in sheets for what, value in sheet.figures.items()
    )


def _plain(sheet: Sheet) -> dict[str, object]:
    """A sheet for JSON, with the shares in per cent."""
    return {
        "detector": sheet.detector,
        **{
            name: [
                {
                    "what": rate.what,
                    "hits": rate.hits,
                    "n": rate.n,
                    **dict(zip(("percent", "low", "high"), rate.percent, strict=True)),
                }
                for rate in rates
            ]
            for name, rates in (("false", sheet.false), ("found", sheet.found), ("beside", sheet.beside))
        },
        "figures": sheet.figures,
    }


def main() -> None:
    """Measure, and print what was found."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--sessions", type=Path, required=True, metavar="DIRECTORY")
    arguments.add_argument("--databases", type=Path, metavar="DIRECTORY")
    arguments.add_argument("--only", action="append", choices=MEASURES, metavar="NAME", help=", ".join(MEASURES))
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    found = [run for run in runs(chosen.sessions) if run.succeeded is not None]
    sheets = [
        sheet
        for name, measure in MEASURES.items()
        if name in (chosen.only or MEASURES)
        for sheet in measure(found, chosen.databases)
    ]
    if chosen.json:
        print(msgspec.json.format(msgspec.json.encode([_plain(sheet) for sheet in sheets])).decode())
    else:
        print(render(sheets))


if __name__ == "__main__":
    main()
