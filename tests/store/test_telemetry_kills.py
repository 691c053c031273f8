"""Batches written again after kill -9 are stored once and whole."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

WRITER = Path(__file__).with_name("clickhouse_writer.py")
SPANS = 300
KILLS = 5


def written_until_killed(folder: Path, first: int, rng: random.Random) -> int:
    """The last number whose write returned before the writer was killed, in the middle of one of the next."""
    last = first - 1
    with subprocess.Popen(
        [sys.executable, WRITER, folder, str(first), "100000"], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for _ in range(rng.randint(1, 4)):
            last = int(writer.stdout.readline())
        time.sleep(rng.random() * 0.06)
        writer.kill()
        return max([last, *(int(line) for line in writer.stdout)])


def test_rewriting_after_kills_gives_the_exact_content(tmp_path: Path) -> None:
    rng = random.Random(5)
    last = 0
    for _ in range(KILLS):
        # As the flow does: from the batch after the last one committed, which may be older than the last one written.
        last = written_until_killed(tmp_path, max(1, last - rng.randint(0, 2)), rng)
    ending = [sys.executable, str(WRITER), str(tmp_path), str(last), str(last + 2)]
    found = json.loads(subprocess.run(ending, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])
    count = last + 1
    assert found == {
        "rows": {
            "spans": SPANS * count,
            "outlines": 0,
            "members": count,
            "members_by_trace": count,
            "ledger": 2 * count,
            "sessions": count,
            "logs": 5 * count,
            "metrics": 0,
            "sampling": 0,
            "mentions": SPANS * count,
        },
        "spans": [SPANS] * count,
        "members": count,
        "steps": [20] * count,
        "logs": [5] * count,
    }
    assert list((tmp_path / "tmp").iterdir()) == []
