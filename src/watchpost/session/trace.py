"""One trace: its spans as they are known so far, and which of them are steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from watchpost.model.step import FEEDBACK_SCOPE, NO_FACETS, Reading, Step, Tokens
from watchpost.session.doings import Doings
from watchpost.session.node import UNREPORTED, Node, absorbed, node_of, same_call, standing, text_length

NODE_BYTES = 1800
"""What one span holds in memory beside its texts, two fifths of it in detectors: measured with tracemalloc over 500 sessions of 20 spans.

Every detector that is on by default was, and contracts, formats and norms were known.
"""

MAX_DEPTH = 4096
"""How far a chain of parents is followed; a longer one, or a circle, counts as cut off there."""

_BARRIERS = frozenset({"llm", "agent"})
_AGENTIC = frozenset({"agent", "workflow", "turn"})


Claim = tuple[int, bytes, str]
"""A value with the start and span id of the span that claims it: the least claim, the earliest span's, holds."""


class Trace:
    """Spans of one trace id within one project, folded one by one.

    `touched` and `retitled` name the spans that changed, and those whose agent may have, since the trace was last settled;
    `placed` holds what then stood in the session `session_id`; `stirred` says that more than evaluations came since,
    `claimed` that what names it changed; `weight` is what it then held in memory, in bytes.
    `twinned` names the calls that then stood among the session's twins. `agents` and `tools` count spans, `agent_spans` names those of
    kind agent, and `doings` what these did, once there are agents of two names; `tripped` says that a
    guardrail stopped something; `outlines` counts the spans whose texts are no longer kept; `target` is what an evaluation sent as a trace of its own speaks of.

    Wrappers are demoted: a model call that has a model call beneath it is no step, for only the innermost one is the
    call; a tool call beneath a call of the same tool or call id, with no agent or model call between, is the same call seen on
    its way, and what it alone tells, an error above all, is told by the outermost one. A tool call with an agent beneath is a
    handoff to that agent.
    """

    def __init__(self, project: str, trace_id: bytes) -> None:
        self.project = project
        self.trace_id = trace_id
        self.session_id = ""
        self.placed: dict[bytes, Step] = {}
        self.touched: set[bytes] = set()
        self.retitled: set[bytes] = set()
        self.stirred = False
        self.claimed = False
        self.weight = 0
        self.twinned: dict[bytes, tuple[str, str]] = {}
        self._clear()

    def _clear(self) -> None:
        self.nodes: dict[bytes, Node] = {}
        self.received_ns = 0
        self.started_ns = 0
        self.ended_ns = 0
        self.open_roots = 0
        self.ended_roots = 0
        self.text_bytes = 0
        self._children: dict[bytes, list[bytes]] = {}
        self._above_llm: set[bytes] = set()
        self._above_agent: set[bytes] = set()
        self.agents = 0
        self.agent_spans: set[bytes] = set()
        self.doings: Doings | None = None
        self.tools = 0
        self.tripped = False
        self.target = b""
        self.usage: dict[bytes, Tokens] = {}
        self.outlines = 0
        self._others = 0
        self._calls = 0
        self._remarks = 0
        self._sessions: dict[str, int] = {}
        self._claims: dict[str, Claim] = {}

    def add(self, reading: Reading) -> bool:
        """Take one span; False if it says nothing new, being an older copy or the same again."""
        old = self.nodes.get(reading.span_id)
        self.target = self.target or reading.target
        self.tripped |= reading.error_type == "guardrail_triggered"
        if old is None:
            self._insert(node_of(reading, self.trace_id))
            return True
        if reading.ver <= old.ver:
            return False
        return self._replace(old, node_of(reading, self.trace_id))

    def session(self) -> str:
        """The session this trace belongs to: the id on the root-most span that has one, else the trace id itself."""
        if not self._sessions:
            return self.trace_id.hex()
        if len(self._sessions) == 1:
            return next(iter(self._sessions))
        holders = [node for node in self.nodes.values() if node.own_session]
        return min(holders, key=lambda n: (*self._depth(n), n.start_ns, n.span_id)).own_session

    def sessions(self) -> tuple[str, ...]:
        """Every session id that a span of this trace carries, or the trace id where none does."""
        return tuple(self._sessions) or (self.trace_id.hex(),)

    @property
    def is_agentic(self) -> bool:
        """Whether it holds anything that an agent does, and not only what any program does."""
        return self._others < len(self.nodes)

    @property
    def is_remark(self) -> bool:
        """Whether it is feedback alone: said of a run or of a session of which it shows nothing itself."""
        return 0 < self._remarks == len(self.nodes)

    @property
    def is_stray(self) -> bool:
        """Whether it is model calls alone, that nothing ties to an agent or a session."""
        return 0 < self._calls == len(self.nodes) - self._others and not self._sessions

    def children(self, span_id: bytes) -> Sequence[bytes]:
        """The ids of the spans right beneath one, in no certain order."""
        return self._children.get(span_id, ())

    def claim(self, fact: str) -> Claim | None:
        """The holding claim of `workflow`, `root`, `service`, `user_id`, `org_id`, `feature` or `release`."""
        return self._claims.get(fact)

    def agent(self, span_id: bytes) -> str:
        """The name of the agent that a span belongs to: its own or that of its nearest ancestor that has one."""
        for node in self.upward(span_id):
            if node.agent:
                return node.agent
        return ""

    def beneath(self, span_id: bytes) -> Iterator[Node]:
        """Every span beneath one, itself included."""
        seen: set[bytes] = set()
        waiting = [span_id]
        while waiting:
            current = waiting.pop()
            if current not in seen:
                seen.add(current)
                if (node := self.nodes.get(current)) is not None:
                    yield node
                waiting.extend(self._children.get(current, ()))

    @property
    def held_bytes(self) -> int:
        """About what this trace holds in memory."""
        return len(self.nodes) * NODE_BYTES + self.text_bytes

    def _insert(self, node: Node) -> None:
        self.nodes[node.span_id] = node
        self._children.setdefault(node.parent_id, []).append(node.span_id)
        if node.own_session:
            self._sessions[node.own_session] = self._sessions.get(node.own_session, 0) + 1
        self._remarks += (is_remark := node.scope == FEEDBACK_SCOPE)
        if not node.parent_id and not is_remark:
            self.ended_roots += node.end_ns != 0
            self.open_roots += node.end_ns == 0
        if node.start_ns and not is_remark and (node.start_ns < self.started_ns or not self.started_ns):
            self.started_ns = node.start_ns
        self._claim(node)
        self._note(node)
        self.agents += node.kind in _AGENTIC
        if node.kind == "agent":
            self.agent_spans.add(node.span_id)
        self.outlines += node.outline
        self._others += node.kind == "other"
        self._calls += node.kind == "llm"
        self.tools += node.kind == "tool"
        if node.usage is not UNREPORTED:
            self.usage[node.span_id] = node.usage
        if node.kind == "llm" or node.span_id in self._above_llm:
            self._tell_of_call(node)
        if node.kind == "agent" or (node.kind != "tool" and node.span_id in self._above_agent):
            self._tell_of_agent(node)
        self._settle_tools(node)
        node.counted = self._counts(node)
        self._merge_around(node)

    def _replace(self, old: Node, node: Node) -> bool:
        node.counted = old.counted
        changed = standing(old) != standing(node) or old.end_ns != node.end_ns or old.own != node.own
        only_ended = old.end_ns == 0 and standing(old) == standing(node)
        if changed and not only_ended:
            self._rebuild(node)
            return True
        self.nodes[node.span_id] = node
        self.outlines += node.outline - old.outline
        if node.usage is not UNREPORTED:
            self.usage[node.span_id] = node.usage
        if node.end_ns and not old.end_ns and not node.parent_id:
            self.ended_roots += 1
            self.open_roots -= 1
        if old.step is not None:
            self.text_bytes -= text_length(old.step)
        self._note(node)
        self._merge_around(node)
        return changed

    def _rebuild(self, changed: Node) -> None:
        """Fold all spans again, because one of them turned out to be something else or to stand elsewhere."""
        nodes = [changed if node.span_id == changed.span_id else node for node in self.nodes.values()]
        tripped, target = self.tripped, self.target
        self._clear()
        self.tripped, self.target = tripped, target
        for node in nodes:
            node.step = node.own
            self._insert(node)

    def _note(self, node: Node) -> None:
        self.touched.add(node.span_id)
        if node.span_id in self._children:
            self.retitled.add(node.span_id)
        if node.step is not None:
            self.text_bytes += text_length(node.step)
        self.stirred |= node.kind != "evaluation" or (not self.received_ns and node.scope != FEEDBACK_SCOPE)
        if node.kind != "evaluation":
            self.received_ns = max(self.received_ns, node.received_ns)
            self.ended_ns = max(self.ended_ns, node.end_ns)

    def _tell_of_call(self, node: Node) -> None:
        """Let every span above a model call know that it has one beneath, as far up as spans are known."""
        above = node.parent_id
        while above and above not in self._above_llm:
            self._above_llm.add(above)
            parent = self.nodes.get(above)
            if parent is None:
                return
            if parent.kind == "llm" and parent.counted:
                parent.counted = False
                self.touched.add(parent.span_id)
            above = parent.parent_id

    def _tell_of_agent(self, node: Node) -> None:
        """Let the spans above an agent know of it, up to the tool call or the agent that it works for."""
        above = node.parent_id
        while above and above not in self._above_agent:
            self._above_agent.add(above)
            parent = self.nodes.get(above)
            if parent is None:
                return
            if parent.kind in {"tool", "agent"}:
                self._merge(parent)
                return
            above = parent.parent_id

    def _merge_around(self, node: Node) -> None:
        """Bring the call that this tool span is, or is an echo of, up to date."""
        if node.kind != "tool":
            return
        self._merge(node)
        if not node.counted:
            outermost = self._tool_above(node)
            for _ in range(MAX_DEPTH):
                if outermost is None or outermost.counted:
                    break
                outermost = self._tool_above(outermost)
            if outermost is not None:
                self._merge(outermost)

    def _merge(self, node: Node) -> None:
        """Put a tool call together from its own span and the echoes beneath it; one that an agent works beneath is a handoff to it."""
        if node.kind != "tool" or node.own is None:
            return
        step = node.own
        if node.span_id in self._children:
            for echo in sorted(self._echoes(node), key=lambda each: (each.start_ns, each.span_id)):
                step = absorbed(step, echo.own)
            if node.span_id in self._above_agent:
                step = msgspec.structs.replace(step, kind="handoff")
        if step != node.step and node.step is not None:
            self.text_bytes += len(step.arguments) + len(step.result)
            self.text_bytes -= len(node.step.arguments) + len(node.step.result)
            node.step = step
            self.touched.add(node.span_id)

    def _echoes(self, node: Node) -> Iterator[Node]:
        """The spans beneath a tool call that are the same call on its way."""
        seen = {node.span_id}
        waiting = list(self._children.get(node.span_id, ()))
        while waiting:
            below = self.nodes[waiting.pop()]
            if below.span_id in seen or below.kind in _BARRIERS:
                continue
            seen.add(below.span_id)
            if below.kind == "tool" and not same_call(node, below):
                continue
            if below.kind == "tool":
                yield below
            waiting.extend(self._children.get(below.span_id, ()))

    def _counts(self, node: Node) -> bool:
        if node.step is None:
            return False
        if node.kind == "llm":
            return node.span_id not in self._above_llm
        return node.kind != "tool" or not self._is_echo(node)

    def _is_echo(self, node: Node) -> bool:
        above = self._tool_above(node)
        return above is not None and same_call(above, node)

    def _tool_above(self, node: Node) -> Node | None:
        for ancestor in self.upward(node.parent_id):
            if ancestor.kind == "tool":
                return ancestor
            if ancestor.kind in _BARRIERS:
                return None
        return None

    def _settle_tools(self, node: Node) -> None:
        """A span that came after those beneath it may show that a tool call there is an echo of one above."""
        if node.kind in _BARRIERS or node.span_id not in self._children:
            return
        if node.kind != "tool" and self._tool_above(node) is None:
            return
        waiting = list(self._children[node.span_id])
        seen = {node.span_id}
        while waiting:
            below = self.nodes[waiting.pop()]
            if below.span_id in seen or below.kind in _BARRIERS:
                continue
            seen.add(below.span_id)
            if below.kind != "tool":
                waiting.extend(self._children.get(below.span_id, ()))
            elif below.counted and self._is_echo(below):
                below.counted = False
                self.touched.add(below.span_id)
                self._merge_around(below)

    def upward(self, span_id: bytes) -> Iterator[Node]:
        """The span and its ancestors, as far as they are known."""
        for _ in range(MAX_DEPTH):
            node = self.nodes.get(span_id)
            if node is None:
                return
            yield node
            span_id = node.parent_id

    def _depth(self, node: Node) -> tuple[bool, int]:
        """Whether the chain to the root is broken, and how long it is."""
        line = list(self.upward(node.span_id))
        return bool(line[-1].parent_id), len(line)

    def _claim(self, node: Node) -> None:
        if node.workflow:
            self._stake("workflow", node, node.workflow)
        if node.user_id:
            self._stake("user_id", node, node.user_id)
        if node.service:
            self._stake("service", node, node.service)
        if (facets := node.facets) is not NO_FACETS:
            if facets.org_id:
                self._stake("org_id", node, facets.org_id)
            if facets.feature:
                self._stake("feature", node, facets.feature)
            if facets.release:
                self._stake("release", node, facets.release)
        if not node.parent_id and node.scope != FEEDBACK_SCOPE:
            self._stake("root", node, (node.kind == "agent" and node.agent) or node.name)

    def _stake(self, fact: str, node: Node, value: str) -> None:
        claim = (node.start_ns, node.span_id, value)
        held = self._claims.get(fact)
        if held is None or claim < held:
            self._claims[fact] = claim
            self.claimed = True
