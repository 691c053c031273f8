"""What the shipped rules tell of real runs that went well, spread over days as if one agent had made them, and what replaying them costs.

    python bench/rules_backtest.py FOLDER [--days 7] [--every 600] [--healthy success|all] [--propose] [--json]

FOLDER holds `*.jsonl.gz`, one session a line, with `ground_truth`. Runs have no times of their own: one begins every so many seconds, its steps a second apart as import
spaces them; runs are told again under other names until the days are full. `success` takes the runs that reached what they were to reach and in which nobody planted
anything. The figures are alerts of each rule a day and the CPU time of the replay.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from watchpost.cli.bring_in import import_recordings
from watchpost.cli.library import open_watchpost
from watchpost.runtime.settings import read_settings
from watchpost.runtime.wiring import Watchpost
from watchpost.server.backtest_answers import BacktestGiven
from watchpost.server.serving import backtests

DAY = 86_400
PLANTED = ("injection", "important_instructions")


def is_healthy(run: dict[str, object]) -> bool:
    """Whether a run did what it was to do, with nobody in its way."""
    truth = run.get("ground_truth")
    if not isinstance(truth, dict):
        return False
    planted = truth.get("injection_seen") or any(word in str(run["session_id"]) for word in PLANTED)
    reached = truth.get("outcome") == "success" or truth.get("utility") is True or truth.get("reward") == 1.0
    return bool(reached and not planted)


def runs(folder: Path, wanted: str) -> Iterator[dict[str, object]]:
    """The runs of a folder."""
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rb") as lines:
            for line in lines:
                run = msgspec.json.decode(line, type=dict[str, object])
                if wanted == "all" or is_healthy(run):
                    yield run


def spread(found: list[dict[str, object]], folder: Path, since_s: int, every_s: int, until_s: int) -> int:
    """Write one file for each run, of the time at which it is to begin; how many."""
    count = 0
    for count, at_s in enumerate(range(since_s, until_s, every_s), 1):
        run = found[(count - 1) % len(found)]
        named = run | {"session_id": f"{run['session_id']}-{count}"}
        path = folder / f"{count:06}.jsonl"
        path.write_bytes(msgspec.json.encode(named))
        os.utime(path, (at_s, at_s))
    return count


def main() -> None:
    """Import, replay and tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--days", type=float, default=7)
    parser.add_argument("--every", type=int, default=600)
    parser.add_argument("--healthy", choices=["success", "all"], default="success")
    parser.add_argument("--propose", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = list(runs(given.folder, given.healthy))
    now_s = int(time.time())
    with tempfile.TemporaryDirectory() as name:
        files, data = Path(name) / "runs", Path(name) / "data"
        files.mkdir()
        made = spread(found, files, now_s - int(given.days * DAY), given.every, now_s - 900)
        import_recordings([files], data=data)
        settings = read_settings(data=data)
        with open_watchpost(settings, "") as opened:
            if not isinstance(opened, Watchpost):
                raise TypeError("nobody else holds a folder that was just made")
            began = time.process_time()
            asked = BacktestGiven(since=f"{int(given.days * DAY)}s", propose=given.propose)
            answer = backtests(settings, opened).answer(asked)
            cpu_s = time.process_time() - began
    told = {each.rule: round(each.alerts_a_day, 3) for each in answer.rules if each.alerts}
    figures = {
        "runs": len(found),
        "sessions": made,
        "steps": answer.steps,
        "days": given.days,
        "cpu_s": round(cpu_s, 2),
        "steps_a_cpu_second": round(answer.steps / cpu_s),
        "silent_rules": sum(not each.alerts for each in answer.rules),
        "alerts_a_day": told,
    }
    if given.json:
        print(json.dumps(figures))
        return
    print("\n".join(f"{key}: {value}" for key, value in figures.items()))
    for each in answer.rules:
        for episode in each.episodes[:3]:
            print(each.rule, episode.fired_at, episode.value, episode.summary, episode.sessions[:1])


if __name__ == "__main__":
    main()
