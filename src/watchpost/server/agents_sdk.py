"""How the OpenAI Agents SDK's own exporter is answered: in JSON, and with problem details where it did something wrong.

The exporter takes any 2xx for success and does not read it, logs the body of most 4xx and drops the batch, and sends again,
three times in all, after 5xx.
"""

from __future__ import annotations

import msgspec

from watchpost.ingest.request import Accepted, OverloadedError, RefusedError, Signal
from watchpost.server.otlp import JSON, Answer
from watchpost.server.problem import MEDIA_TYPE, ParameterFault, problem


class AgentsSdkLanguage:
    """`{"rejected", "reasons"}`, and RFC 9457 problem details for errors."""

    signal: Signal = "agents_sdk"
    medias: tuple[bytes, ...] = (JSON,)

    def accepted(self, accepted: Accepted, media: bytes) -> Answer:
        """How many objects were left out, and why."""
        del media
        return Answer(JSON, msgspec.json.encode(accepted))

    def refused(self, error: RefusedError, media: bytes) -> Answer:
        """A problem that names the field."""
        del media
        fault = ParameterFault(error.field, error.detail)
        return _problem(error.status, f"{error.field}: {error.detail}", fault)

    def overloaded(self, error: OverloadedError, media: bytes) -> Answer:
        """A problem that says what is overloaded."""
        del media
        return _problem(503, error.detail)


def _problem(status: int, detail: str, *faults: ParameterFault) -> Answer:
    return Answer(MEDIA_TYPE.encode(), msgspec.json.encode(problem(status, detail, faults)))
