"""A real server under load, killed again and again: all that was acknowledged is there in the end, once and exactly."""

from __future__ import annotations

import dataclasses
import http.client
import itertools
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from killable_server import ApiSession, KillableServer, until
from random_world import Batch, batches, specs
from seen_sessions import Known, difference, expected, known_of, seen
from span_export import Export, export_of, rejected
from world import span_of

SEEDS = (1, 2)
KILLS = 26
CHECK_EVERY = 9
TRACES = 120
SENDERS = 3
BUSY_S = 0.01
"""How long a sender waits that was told to come again later: less than it was told, so that it comes at all moments."""
END_S = 30

SETTINGS = {
    "WATCHPOST_FLOW__BATCH_SECONDS": "0.03",
    "WATCHPOST_FLOW__FOLD_MIB": "1",  # less than the world takes, so that sessions leave memory too
    "WATCHPOST_SESSION__QUIET_SECONDS": "1",
    "WATCHPOST_SESSION__IDLE_SECONDS": "3",
    "WATCHPOST_LOOP__CYCLE_ROUNDS": "0",
    "WATCHPOST_LOOP__UNCHANGED": "0",
    "WATCHPOST_LOOP__TURNS": "0",
    "WATCHPOST_RUN_TIME__SILENT": "false",  # the world leaves runs open, and what is expected here knows loops alone
    "WATCHPOST_RUN_TIME__SECONDS": "0",
    "WATCHPOST_RUN_TIME__TIMES": "0",
}


@dataclasses.dataclass
class Kills:
    """How many kills there were, and at how many of them what was going on.

    `in_flight`: a request was sent and not answered. `unapplied`: something was acknowledged and stood in the log alone.
    `cut`: a batch was cut and not committed, so that `react` or `apply` was at work on it. `taking_up`: something stood in
    the log alone when the server started, and it did not say yet that it was ready.
    """

    total: int = 0
    in_flight: int = 0
    unapplied: int = 0
    cut: int = 0
    taking_up: int = 0


class Siege:
    """Sends batches to a server that is killed meanwhile, until all are acknowledged."""

    def __init__(self, server: KillableServer, waiting: Iterable[Batch], rng: random.Random) -> None:
        self._server = server
        self._rng = rng
        self._lock = threading.Lock()
        self._waiting = deque(waiting)
        self._acknowledged: list[Batch] = []
        self._unanswered: list[Batch] = []
        self._sending = 0
        self._quota = 0
        self._fatal = 0
        self._begun = threading.Event()
        self._over = threading.Event()
        self._left = 0
        self.kills = Kills()

    def storm(self, share: float) -> None:
        """Send a share of what waits over several connections, and kill at any moment after that began.

        Half of the time the moment is that of an acknowledgement, the one at which a promise kept too late shows.
        """
        delay = self._rng.uniform(0, 0.4)
        self._take_up_unanswered()
        self._quota = round(len(self._waiting) * share) + 1
        self._fatal = self._rng.randint(1, self._quota) if self._rng.random() < 0.5 else 0
        pause = self._rng.choice([0, 1, 2, 2, 4]) * delay * SENDERS / self._quota
        seeds = [self._rng.random() for _ in range(SENDERS)]
        connections = [self._server.connect() for _ in range(SENDERS)]
        self._begun.clear()
        self._over.clear()
        with ThreadPoolExecutor(SENDERS) as pool:
            senders = [
                pool.submit(self._send_on, connection, random.Random(seed), pause)
                for connection, seed in zip(connections, seeds, strict=True)
            ]
            assert self._begun.wait(END_S)
            self._over.wait(END_S if self._fatal else delay)
            self._over.set()
            in_flight = self._sending
            self._server.kill()
        for sender in senders:
            sender.result()
        self.kills.in_flight += in_flight > 0
        self._look_at_what_is_left()
        self.kills.unapplied += self._left > len(self._unanswered)

    def strike_early(self) -> None:
        """Start it, and kill it while it takes up its log or right after it said that it listens."""
        self._server.start()
        if self._rng.random() < 0.6:
            self._server.await_address()
            time.sleep(self._rng.uniform(0, 0.3))
        else:
            self._server.await_listening()
        ready = self._server.is_ready()
        self._server.kill()
        self.kills.taking_up += self._left > 0 and not ready
        self._look_at_what_is_left()

    def check(self) -> None:
        """All that was acknowledged is seen before anything is sent again; of what was not answered, each request whole or not at all."""
        self._server.await_applied()
        found = seen(self._server)
        taken = [
            self._known(some)
            for count in range(len(self._unanswered) + 1)
            for some in itertools.combinations(self._unanswered, count)
        ]
        apart = [difference(found, expected(known)) for known in taken]
        assert "" in apart, min(apart, key=len)

    def finish(self) -> None:
        """Send what is left."""
        self._take_up_unanswered()
        with closing(self._server.connect()) as connection:
            while self._waiting:
                assert self._send(connection, self._waiting.popleft(), self._rng)

    def _known(self, unanswered: Iterable[Batch] = ()) -> Known:
        return known_of(arrival for batch in (*self._acknowledged, *unanswered) for arrival in batch)

    def _take_up_unanswered(self) -> None:
        self._waiting.extendleft(self._unanswered)
        self._unanswered.clear()

    def _send_on(self, connection: http.client.HTTPConnection, rng: random.Random, pause: float) -> None:
        with closing(connection):
            while not self._over.is_set() and (batch := self._next(rng)) is not None:
                if not self._send(connection, batch, rng):
                    return
                time.sleep(rng.random() * pause)

    def _next(self, rng: random.Random) -> Batch | None:
        """The next batch, now and then one that was acknowledged already; None when enough is sent."""
        with self._lock:
            self._quota -= 1
            if self._quota < 0:
                return None
            if self._acknowledged and (not self._waiting or rng.random() < 0.1):
                return rng.choice(self._acknowledged)
            return self._waiting.popleft()

    def _send(self, connection: http.client.HTTPConnection, batch: Batch, rng: random.Random) -> bool:
        """Whether it was acknowledged before the server died."""
        as_json = rng.random() < 0.25
        spans = (span_of(arrival.spec, ended=arrival.ended) for arrival in batch)
        export = export_of(spans, as_json=as_json, compressed=rng.random() < 0.3)
        try:
            status, body = self._post(connection, export)
            while status == 503:
                time.sleep(BUSY_S)
                status, body = self._post(connection, export)
        except (OSError, http.client.HTTPException):
            with self._lock:
                self._unanswered.append(batch)
            return False
        assert status == 200, body
        assert rejected(body, as_json=as_json) == 0
        with self._lock:
            self._acknowledged.append(batch)
        return True

    def _post(self, connection: http.client.HTTPConnection, export: Export) -> tuple[int, bytes]:
        with self._lock:
            self._sending += 1
        self._begun.set()
        try:
            connection.request("POST", "/v1/traces", export.body, export.headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status == 200:
                self._count_down()
            return answer.status, body
        finally:
            with self._lock:
                self._sending -= 1

    def _count_down(self) -> None:
        """Kill at the acknowledgement that was chosen for it."""
        with self._lock:
            self._fatal -= 1
            if self._fatal == 0:
                self._server.strike()
                self._over.set()

    def _look_at_what_is_left(self) -> None:
        undone = self._server.undone()
        self._left = undone.deliveries
        self.kills.total += 1
        self.kills.cut += undone.cut


def all_ended(server: KillableServer) -> list[ApiSession] | None:
    """Every session, once none is open."""
    sessions = server.sessions()
    return sessions if all(session.state == "ended" for session in sessions) else None


def besiege(folder: Path, seed: int) -> Kills:
    """Send a world of its own to a server of its own through all kills, and compare."""
    folder.mkdir()
    rng = random.Random(seed)
    server = KillableServer(folder, **SETTINGS)
    siege = Siege(server, batches(rng, specs(rng, TRACES)), rng)
    try:
        for kill in range(KILLS):
            if kill % 4 == 3:
                siege.strike_early()
                continue
            server.start()
            server.await_listening()
            if kill % CHECK_EVERY == CHECK_EVERY - 1:
                siege.check()
            elif rng.random() < 0.5:
                server.await_applied()
            siege.storm(min(1, 1.4 / (KILLS - kill)))
        server.start()
        server.await_listening()
        siege.finish()
        server.await_applied()
        ended = until(lambda: all_ended(server), END_S)
        siege.check()
    finally:
        server.kill()
    assert all(session.outcome for session in ended)
    return siege.kills


@pytest.mark.timeout(900)
def test_what_was_acknowledged_is_there_exactly_after_fifty_kills(tmp_path: Path) -> None:
    with ThreadPoolExecutor(len(SEEDS)) as pool:
        counts = [
            dataclasses.astuple(kills) for kills in pool.map(lambda seed: besiege(tmp_path / str(seed), seed), SEEDS)
        ]
    kills = Kills(*map(sum, zip(*counts, strict=True)))
    sys.stdout.write(f"{kills}\n")
    assert kills.total >= 50
    assert min(kills.in_flight, kills.unapplied, kills.cut, kills.taking_up) >= 5, kills
