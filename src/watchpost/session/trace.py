"""One trace: its spans as they are known so far, and which of them are steps."""

from __future__ import annotations

from collections.abc import Iterator
from sys import intern

import msgspec

from watchpost.model.step import STEP_KINDS, Reading, Step

TEXT_KEPT = 8192
"""Characters of a tool call's arguments and of its result that stay in the fold."""

NODE_BYTES = 1750
"""What one span holds in memory beside its texts, a third of it in detectors: measured with tracemalloc over 500 sessions of 20 spans."""

MAX_DEPTH = 4096
"""How far a chain of parents is followed; a longer one, or a circle, counts as cut off there."""

_BARRIERS = frozenset({"llm", "agent"})


class Node(msgspec.Struct, gc=False):
    """One span in the tree. `step` is what it would count as, None for structural spans; `counted` whether it does.

    `failed` marks a model call or a structural span that ended in an error.
    """

    span_id: bytes
    parent_id: bytes
    ver: int
    received_ns: int
    start_ns: int
    end_ns: int
    kind: str
    name: str
    tool: str
    agent: str
    workflow: str
    service: str
    user_id: str
    own_session: str
    failed: bool
    step: Step | None
    counted: bool = False


Claim = tuple[int, bytes, str]
"""A value with the start and span id of the span that claims it: the least claim, the earliest span's, holds."""


class Trace:
    """Spans of one trace id within one project, folded one by one.

    `touched` and `retitled` name the spans that changed, and those whose agent may have, since the trace was last settled;
    `placed` holds what then stood in the session `session_id`.

    Wrappers are demoted: a model call that has a model call beneath it is no step, for only the innermost one is the
    call; a tool call beneath a call of the same tool, with no agent or model call between, is the same call seen on its way.
    A tool call with an agent beneath is a handoff to that agent.
    """

    def __init__(self, project: str, trace_id: bytes) -> None:
        self.project = project
        self.trace_id = trace_id
        self.session_id = ""
        self.placed: dict[bytes, Step] = {}
        self.touched: set[bytes] = set()
        self.retitled: set[bytes] = set()
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
        self._sessions: dict[str, int] = {}
        self._claims: dict[str, Claim] = {}

    def add(self, reading: Reading) -> bool:
        """Take one span; False if it says nothing new, being an older copy or the same again."""
        old = self.nodes.get(reading.span_id)
        if old is None:
            self._insert(_node(reading, self.trace_id))
            return True
        if reading.ver <= old.ver:
            return False
        return self._replace(old, _node(reading, self.trace_id))

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

    def claim(self, fact: str) -> Claim | None:
        """The holding claim of `workflow`, `root`, `service` or `user_id`."""
        return self._claims.get(fact)

    def agent(self, span_id: bytes) -> str:
        """The name of the agent that a span belongs to: its own or that of its nearest ancestor that has one."""
        for node in self._upward(span_id):
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
        if not node.parent_id:
            self.ended_roots += node.end_ns != 0
            self.open_roots += node.end_ns == 0
        self.started_ns = min(self.started_ns, node.start_ns) if len(self.nodes) > 1 else node.start_ns
        self._claim(node)
        self._note(node)
        if node.kind == "llm" or node.span_id in self._above_llm:
            self._tell_of_call(node)
        if node.kind == "agent" or (node.kind != "tool" and node.span_id in self._above_agent):
            self._tell_of_agent(node)
        self._settle_tools(node)
        self._fit(node)
        node.counted = self._counts(node)

    def _replace(self, old: Node, node: Node) -> bool:
        node.counted = old.counted
        self._fit(node)
        changed = msgspec.structs.replace(old, ver=node.ver, received_ns=node.received_ns) != node
        only_ended = old.end_ns == 0 and msgspec.structs.replace(
            old, ver=0, received_ns=0, end_ns=0, failed=False, step=None
        ) == msgspec.structs.replace(node, ver=0, received_ns=0, end_ns=0, failed=False, step=None)
        if changed and not only_ended:
            self._rebuild(node)
            return True
        self.nodes[node.span_id] = node
        if node.end_ns and not old.end_ns and not node.parent_id:
            self.ended_roots += 1
            self.open_roots -= 1
        if old.step is not None:
            self.text_bytes -= len(old.step.arguments) + len(old.step.result)
        self._note(node)
        return changed

    def _rebuild(self, changed: Node) -> None:
        """Fold all spans again, because one of them turned out to be something else or to stand elsewhere."""
        nodes = [changed if node.span_id == changed.span_id else node for node in self.nodes.values()]
        self._clear()
        for node in nodes:
            self._insert(node)

    def _note(self, node: Node) -> None:
        self.touched.add(node.span_id)
        if node.agent or node.span_id in self._children:
            self.retitled.add(node.span_id)
        if node.step is not None:
            self.text_bytes += len(node.step.arguments) + len(node.step.result)
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
                self._fit(parent)
                self.touched.add(parent.span_id)
                return
            above = parent.parent_id

    def _fit(self, node: Node) -> None:
        """A tool call that an agent works beneath is a handoff to it."""
        if node.kind == "tool" and node.step is not None and node.span_id in self._above_agent:
            node.step = msgspec.structs.replace(node.step, kind="handoff")

    def _counts(self, node: Node) -> bool:
        if node.step is None:
            return False
        if node.kind == "llm":
            return node.span_id not in self._above_llm
        return node.kind != "tool" or not self._is_echo(node)

    def _is_echo(self, node: Node) -> bool:
        above = self._tool_above(node)
        return above is not None and above.tool == node.tool

    def _tool_above(self, node: Node) -> Node | None:
        for ancestor in self._upward(node.parent_id):
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

    def _upward(self, span_id: bytes) -> Iterator[Node]:
        """The span and its ancestors, as far as they are known."""
        for _ in range(MAX_DEPTH):
            node = self.nodes.get(span_id)
            if node is None:
                return
            yield node
            span_id = node.parent_id

    def _depth(self, node: Node) -> tuple[bool, int]:
        """Whether the chain to the root is broken, and how long it is."""
        line = list(self._upward(node.span_id))
        return bool(line[-1].parent_id), len(line)

    def _claim(self, node: Node) -> None:
        if node.workflow:
            self._stake("workflow", node, node.workflow)
        if node.user_id:
            self._stake("user_id", node, node.user_id)
        if node.service:
            self._stake("service", node, node.service)
        if not node.parent_id:
            self._stake("root", node, node.name)

    def _stake(self, fact: str, node: Node, value: str) -> None:
        claim = (node.start_ns, node.span_id, value)
        held = self._claims.get(fact)
        if held is None or claim < held:
            self._claims[fact] = claim


def _node(reading: Reading, trace_id: bytes) -> Node:
    """What the fold keeps of a reading. Texts that name something recur in every span of a kind, and are kept once."""
    kind, name, tool, agent = reading.kind, intern(reading.name), intern(reading.tool), intern(reading.agent)
    step: Step | None = None
    if kind in STEP_KINDS:
        called = kind == "tool"
        step = Step(
            trace_id,
            reading.span_id,
            reading.parent_id,
            reading.start_ns,
            reading.end_ns,
            kind,  # type: ignore[arg-type] # seen above to be a step kind
            name,
            agent,
            intern(reading.model),
            tool,
            reading.status,
            reading.error_type if reading.status == "error" else "",
            reading.tokens,
            reading.cost_nano,
            reading.input[:TEXT_KEPT] if called else "",
            reading.output[:TEXT_KEPT] if called else "",
        )
    return Node(
        reading.span_id,
        b"" if reading.parent_id == reading.span_id else reading.parent_id,
        reading.ver,
        reading.received_ns,
        reading.start_ns,
        reading.end_ns,
        kind,
        name,
        tool,
        agent,
        intern(reading.workflow),
        intern(reading.service),
        reading.user_id,
        intern(reading.own_session),
        reading.status == "error" and (kind == "llm" or step is None),
        step,
    )
