"""Records the incidents that the demo shows: real frameworks run against a model that goes by a script, and what they send is packed.

python tests/live/record_incidents.py src/watchpost/cli/demo/incidents.zip
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from model_standin import Answer, ModelStandIn
from trace_sink import TraceSink

HERE = Path(__file__).parent
SESSION = "session-to-be-renamed"

APPLICATION = {"application_id": "A-10231"}
LOOK = (("get_applicant", dict[str, object](APPLICATION)), ("get_income", dict[str, object](APPLICATION)))
QUERIES = (
    "battery ageing at low temperature",
    "lithium plating onset",
    "calendar ageing models",
    "electrolyte additives below zero",
    "fast charging in winter",
    "impedance growth data sets",
)


def _decided(decision: str, reason: str) -> tuple[tuple[str, dict[str, object]], ...]:
    return (("decide", {**APPLICATION, "decision": decision, "reason": reason}),)


@dataclass(frozen=True)
class Incident:
    """One run to record: the agent, what it is asked, and what its model answers."""

    agent: str
    question: str
    script: tuple[Answer, ...]
    income_field: str = "annual_income"


INCIDENTS = {
    "loan-approved": Incident(
        "loan_agent",
        "Decide application A-10231.",
        (
            Answer(310, 38, calls=LOOK),
            Answer(452, 41, calls=_decided("approve", "The income of 54000 EUR is more than twice the amount.")),
            Answer(530, 9, "Application A-10231 is approved."),
        ),
    ),
    "loan-rejected": Incident(
        "loan_agent",
        "Decide application A-10231.",
        (
            Answer(310, 38, calls=LOOK),
            Answer(452, 40, calls=_decided("reject", "No income is on file for the applicant.")),
            Answer(529, 9, "Application A-10231 is rejected."),
        ),
        income_field="income_annual",
    ),
    "refund-loop": Incident(
        "refund_agent",
        "Where is my refund for order R-48213?",
        (
            *(Answer(412 + 58 * place, 19, calls=(("get_order", {"order_id": "R-48213"}),)) for place in range(24)),
            Answer(
                1830, 27, "Your refund for order R-48213 is still being processed. Please contact us again tomorrow."
            ),
        ),
    ),
    "invented-order": Incident(
        "support_agent",
        "I am mia@example.com. When does my latest order arrive?",
        (
            Answer(230, 17, calls=(("find_customer", {"email": "mia@example.com"}),)),
            Answer(296, 18, calls=(("read_order", {"order_id": "ORD-204817"}),)),
            Answer(371, 32, "Your order ORD-204817 has shipped to Jonas Berg, Hafenstr. 9, Kiel."),
        ),
    ),
    "research-budget": Incident(
        "research_agent",
        "What is known about the ageing of batteries in the cold?",
        (
            *(
                Answer(1800 + 4100 * place, 420, calls=(("search_papers", {"query": query}),))
                for place, query in enumerate(QUERIES)
            ),
            Answer(
                26_900, 900, "The literature agrees that plating dominates below zero; see the three reviews found."
            ),
        ),
    ),
}


def record(incident: Incident) -> list[bytes]:
    """The requests that one run sends."""
    with ModelStandIn(*incident.script) as model, TraceSink() as sink:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(HERE / "incident_agents"),
            "OPENAI_BASE_URL": model.url,
            "OPENAI_API_KEY": "none is needed",
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
            "OTEL_SERVICE_NAME": incident.agent.replace("_", "-"),
            "INCOME_FIELD": incident.income_field,
        }
        program = str(HERE / "incident_agents" / f"{incident.agent}.py")
        subprocess.run([sys.executable, program, SESSION, incident.question], env=environment, check=True)
        return [request.SerializeToString() for request in sink.requests]


def main() -> None:
    """Record all, and pack them where the first argument says."""
    with ZipFile(sys.argv[1], "w", ZIP_DEFLATED) as archive:
        for name, incident in INCIDENTS.items():
            bodies = record(incident)
            for place, body in enumerate(bodies, 1):
                entry = ZipInfo(f"{name}/{place:03d}.traces.pb")
                entry.compress_type = ZIP_DEFLATED
                archive.writestr(entry, body)
            sys.stdout.write(f"{name}: {len(bodies)} requests, {sum(map(len, bodies))} bytes\n")


if __name__ == "__main__":
    main()
