"""Structs may be decoded for the first time by many threads at once."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import sys, threading
import msgspec
from watchpost.model.notice import AlertEvent, Notice
from watchpost.runtime.struct_types import settle_struct_types

sys.setswitchinterval(1e-6)
event = AlertEvent(
    "2026-01-01T00:00:00.000Z", "order-desk", "LOOP_DETECTED", "quote", 3, 0, "10m", "error", "desk", "https://runbooks.example/loop", [], "why", "Loops"
)
text = msgspec.json.encode(Notice("n-1", "c-1", event, key="k"))
settle_struct_types()
together, decoded = threading.Barrier(8), []

def work():
    together.wait()
    decoded.extend(msgspec.json.decode(text, type=Notice).id for _ in range(3))

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(decoded), {*decoded})
"""
"""Without settling the types most of its runs end by a segmentation fault."""


def test_threads_that_decode_a_struct_for_the_first_time_at_once_all_get_it_whole() -> None:
    for _ in range(3):
        ran = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=False)
        assert (ran.returncode, ran.stdout) == (0, "24 {'n-1'}\n"), ran.stderr
