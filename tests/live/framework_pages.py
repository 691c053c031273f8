"""The programs that the pages of docs/frameworks make of an agent: the exporter, the page's lines, the agent, a run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "docs" / "frameworks"
AGENTS = Path(__file__).with_name("agents")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OVER_HTTP = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
OVER_GRPC = "opentelemetry.exporter.otlp.proto.grpc.trace_exporter"
OVER_JSON = "otlp_json_exporter"
ARGUMENTS = "import sys\n\nsession_id, user_id, question = sys.argv[1:]\n"


@dataclass(frozen=True)
class Way:
    """One way a page shows of watching an agent.

    `before` and `after` are the places of its Python blocks among those of the page: those that come before the agent is
    made, and those that run it. `exporter` is the module of the exporter of the index page, None where the page's own lines
    or the `environment` bring one. `ends` is whether an exception in a tool ends the run in this framework, and
    `closing_tool` the tool that the model calls to answer.
    """

    page: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    exporter: str | None = OVER_HTTP
    agent: str = ""
    ends: bool = False
    closing_tool: str = ""
    environment: tuple[tuple[str, str], ...] = ()


def blocks(page: str) -> list[str]:
    """The Python blocks of a page, in order."""
    return BLOCK.findall((PAGES / f"{page}.md").read_text(encoding="utf-8"))


def program(way: Way, http: str, grpc: str) -> str:
    """What a reader of the page would write, with the addresses of a Watchpost in place of those that the page shows."""
    shown = blocks(way.page)
    agent = AGENTS / f"agent_{way.agent or way.page.replace('-', '_')}.py"
    parts = [ARGUMENTS]
    if way.exporter is not None:
        parts.append(blocks("README")[0].replace(OVER_HTTP, way.exporter))
    parts += [shown[place] for place in way.before]
    parts.append(agent.read_text(encoding="utf-8"))
    parts += [shown[place] for place in way.after]
    return "\n".join(parts).replace("http://127.0.0.1:8484", http).replace("http://127.0.0.1:4317", grpc)
