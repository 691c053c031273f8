"""The payload: OTLP requests of realistic agent sessions, cheap enough to make that a load is limited by who receives it.

A `Template` is serialised once, with a mark wherever an id, a time or a number of its own must stand; a request is then its pieces
joined with fresh values of the same width (about 1.5 us of CPU per span). Everything is a function of shape, seed, run and group:
nothing is random twice, and two runs never share an id.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

_WORD = (1 << 64) - 1
_MARK = re.compile(rb"(\xf5\xf6T.{4}\xf7{9}|\xf5\xf6[IAZ].{4}\xf7|@@[CN]\d{7}@@)", re.DOTALL)
_TOOLS = (
    "search_orders",
    "get_order",
    "get_customer",
    "list_shipments",
    "check_inventory",
    "quote_refund",
    "create_ticket",
    "search_policies",
    "get_invoice",
    "send_reply",
)
_MODELS = ("gpt-4.1-mini", "gpt-4.1", "claude-sonnet-4-5")
_SYLLABLES = (
    "an",
    "be",
    "cor",
    "da",
    "el",
    "fi",
    "gra",
    "ho",
    "in",
    "jo",
    "ka",
    "len",
    "mi",
    "nor",
    "os",
    "pre",
    "qua",
    "ri",
    "st",
    "ta",
    "un",
    "ver",
)


class Shape(msgspec.Struct, frozen=True):
    """What one template holds: `sessions` sessions of `steps` steps each, model and tool calls in turn, in requests of `body_spans`.

    `rooted` closes every session with its agent's span, the last to arrive, as exporters send it; without it sessions stay
    open. With `loop` a session's tool calls are all one call with one result.
    """

    sessions: int = 500
    steps: int = 19
    rooted: bool = True
    loop: bool = False
    body_spans: int = 500

    @property
    def spans(self) -> int:
        """Spans in one group."""
        return self.sessions * (self.steps + self.rooted)


def mixed(number: int) -> int:
    """A 64-bit number that looks random and is another for every other 64-bit `number` (the finaliser of SplitMix64)."""
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 & _WORD
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB & _WORD
    return number ^ (number >> 31)


def session_name(run: int, group: int, index: int) -> str:
    """The session id, 12 characters, of session `index` of a group of a run."""
    number = mixed((run << 44) + (group << 20) + index) >> 8
    return "c" + base64.b32encode(number.to_bytes(7, "big")).decode().lower()[:11]


class _Prose:
    """An endless text of made-up words, the common ones as frequent as in any language."""

    def __init__(self, seed: int) -> None:
        self._draws = (mixed((seed << 32) + number) for number in itertools.count(1))
        words = [
            "".join(_SYLLABLES[(number >> shift) % 22] for shift in range(0, 5 * (1 + number % 3), 5))
            for number in map(mixed, range(1, 2001))
        ]
        weighted = [word for rank, word in enumerate(words, 1) for _ in range(max(1, round(500 / rank)))]
        self._words = [weighted[mixed(number) % len(weighted)] for number in range(1 << 12)]

    def number(self, below: int) -> int:
        return next(self._draws) % below

    def text(self, words: int) -> str:
        drawn = itertools.islice(self._draws, -(-words // 5))
        return " ".join(self._words[(draw >> shift) & 4095] for draw in drawn for shift in (0, 12, 24, 36, 48))


def _mark(kind: str, index: int) -> bytes:
    return b"\xf5\xf6" + kind.encode() + index.to_bytes(4, "big") + b"\xf7" * (9 if kind == "T" else 1)


def _time_mark(kind: str, index: int) -> int:
    return int.from_bytes(_mark(kind, index), "little")


def _attributes(values: dict[str, str | int | float | list[str]]) -> Iterator[KeyValue]:
    for key, value in values.items():
        if isinstance(value, str):
            yield KeyValue(key=key, value=AnyValue(string_value=value))
        elif isinstance(value, int):
            yield KeyValue(key=key, value=AnyValue(int_value=value))
        elif isinstance(value, float):
            yield KeyValue(key=key, value=AnyValue(double_value=value))
        else:
            items = ArrayValue(values=[AnyValue(string_value=item) for item in value])
            yield KeyValue(key=key, value=AnyValue(array_value=items))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


class _Writer:
    """Writes the attributes of the spans of one session."""

    def __init__(self, prose: _Prose, session: int, *, loop: bool) -> None:
        self._prose = prose
        self._loop = loop
        self._common: dict[str, str | int | float | list[str]] = {
            "gen_ai.conversation.id": f"@@C{session:07}@@",
            "gen_ai.agent.name": "order-desk",
            "gen_ai.provider.name": "openai",
        }
        self._model = _MODELS[prose.number(3)]
        self._order = f"@@N{session:07}@@"
        self._question = f"Order {self._order}: {prose.text(35)}?"
        self._last = self._question

    def model_call(self) -> tuple[str, dict[str, str | int | float | list[str]]]:
        prose = self._prose
        answer = prose.text(40)
        messages = [
            {"role": "user", "parts": [{"type": "text", "content": self._question}]},
            {
                "role": "tool",
                "parts": [{"type": "tool_call_response", "id": f"call_{prose.number(10**9)}", "response": self._last}],
            },
        ]
        said = [{"role": "assistant", "parts": [{"type": "text", "content": answer}], "finish_reason": "tool_call"}]
        return f"chat {self._model}", self._common | {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": self._model,
            "gen_ai.response.model": self._model,
            "gen_ai.response.id": f"chatcmpl-{prose.number(10**12)}",
            "gen_ai.response.finish_reasons": ["tool_call"],
            "gen_ai.request.temperature": 0.2,
            "gen_ai.request.max_tokens": 1024,
            "gen_ai.usage.input_tokens": 300 + prose.number(900),
            "gen_ai.usage.output_tokens": 20 + prose.number(200),
            "gen_ai.usage.cache_read.input_tokens": prose.number(256),
            "gen_ai.system_instructions": _json(
                [{"type": "text", "content": "You are the order desk. Look before you act, cite the policy."}]
            ),
            "gen_ai.input.messages": _json(messages),
            "gen_ai.output.messages": _json(said),
            "server.address": "api.openai.com",
            "server.port": 443,
        }

    def tool_call(self, step: int) -> tuple[str, dict[str, str | int | float | list[str]]]:
        prose = self._prose
        tool = "quote_refund" if self._loop else _TOOLS[step // 2 % len(_TOOLS)]
        arguments = {"order": self._order, "page": step, "reason": prose.text(20)}
        result = {
            "order": self._order,
            "total": prose.number(10**5),
            "lines": [{"sku": prose.number(10**7), "note": prose.text(20)} for _ in range(3)],
        }
        if self._loop:
            arguments, result = {"order": self._order, "reason": "damaged"}, {"error": "try again"}
        self._last = _json(result)
        return f"execute_tool {tool}", self._common | {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": tool,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.description": "Reads or changes one thing of the shop on behalf of a customer and answers with what it is now.",
            "gen_ai.tool.call.id": f"call_{prose.number(10**12)}",
            "gen_ai.tool.call.arguments": _json(arguments),
            "gen_ai.tool.call.result": self._last,
            "code.function.name": f"shop.tools.{tool}",
        }

    def agent(self) -> tuple[str, dict[str, str | int | float | list[str]]]:
        return "invoke_agent order-desk", self._common | {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.id": "order-desk-7",
            "gen_ai.agent.description": "Answers customers about their orders.",
            "gen_ai.input.messages": _json([{"role": "user", "parts": [{"type": "text", "content": self._question}]}]),
            "gen_ai.output.messages": _json(
                [{"role": "assistant", "parts": [{"type": "text", "content": self._prose.text(60)}]}]
            ),
        }


class _Planned(msgspec.Struct, frozen=True):
    """One span of a template; times are nanoseconds from the start of the group."""

    index: int
    start: int
    end: int
    session: int
    is_step: bool
    message: Span


_SECOND = 1_000_000_000


def _planned(shape: Shape, seed: int) -> list[_Planned]:
    """Every span of a group in the order exporters send it: as spans end, so children first and sessions interleaved."""
    prose = _Prose(seed)
    planned: list[_Planned] = []
    for session in range(shape.sessions):
        writer = _Writer(prose, session, loop=shape.loop)
        first = len(planned)
        root = session * (shape.steps + shape.rooted)
        clock = begun = prose.number(20 * _SECOND)
        for step in range(shape.steps + shape.rooted):
            is_step = step > 0 or not shape.rooted
            number = step - shape.rooted
            name, attributes = (
                writer.agent() if not is_step else writer.tool_call(number) if number % 2 else writer.model_call()
            )
            took = prose.number(_SECOND if is_step and number % 2 == 0 else _SECOND // 8)
            message = Span(
                trace_id=_mark("T", session),
                span_id=_mark("I", root + step),
                parent_span_id=b"" if not is_step or not shape.rooted else _mark("I", root),
                name=name,
                kind=Span.SpanKind.SPAN_KIND_CLIENT if name.startswith("chat") else Span.SpanKind.SPAN_KIND_INTERNAL,
                start_time_unix_nano=_time_mark("A", root + step),
                end_time_unix_nano=_time_mark("Z", root + step),
                attributes=_attributes(attributes),
                status=Status(code=Status.StatusCode.STATUS_CODE_UNSET),
            )
            planned.append(_Planned(root + step, clock, clock + took, session, is_step, message))
            clock += took + 1_000_000 if is_step else 1_000_000
        if shape.rooted:
            planned[first] = msgspec.structs.replace(planned[first], start=begun, end=clock)
    return planned


class Group(msgspec.Struct, frozen=True):
    """The values that one group of a run puts in a template's marks."""

    values: list[bytes]


class Template:
    """Requests of one shape. `bodies` of them make a group: whole sessions, interleaved and spread over the requests."""

    def __init__(self, shape: Shape, seed: int) -> None:
        """Build it from `seed`, which chooses the texts; takes about 0.2 ms per span."""
        self.shape = shape
        planned = _planned(shape, seed)
        self._starts = [span.start for span in planned]
        self._ends = [span.end for span in planned]
        self._length = max(self._ends)
        ordered = sorted(planned, key=lambda span: span.end)
        chunks = [ordered[at : at + shape.body_spans] for at in range(0, len(ordered), shape.body_spans)]
        self.sizes = [len(chunk) for chunk in chunks]
        self.steps = [Counter(span.session for span in chunk if span.is_step) for chunk in chunks]
        """Per request: how many steps of which session it carries."""
        self._spans = [[span.index for span in chunk] for chunk in chunks]
        self._pieces = [self._cut([span.message for span in chunk]) for chunk in chunks]

    @property
    def bodies(self) -> int:
        """Requests in one group."""
        return len(self._pieces)

    def group(self, run: int, group: int, now_ns: int) -> Group:
        """The values for a group of which the last span ended at `now_ns`."""
        shape = self.shape
        base = (run << 44) + (group << 20)
        zero = now_ns - self._length
        traces = [
            mixed(base + index).to_bytes(8, "big") + mixed(~(base + index) & _WORD).to_bytes(8, "big")
            for index in range(shape.sessions)
        ]
        ids = [mixed(base + index).to_bytes(8, "big") for index in range(shape.spans)]
        starts = [(zero + start).to_bytes(8, "little") for start in self._starts]
        ends = [(zero + end).to_bytes(8, "little") for end in self._ends]
        names = [session_name(run, group, index).encode() for index in range(shape.sessions)]
        numbers = [b"W%011d" % (mixed(base + index) % 10**11) for index in range(shape.sessions)]
        return Group([*traces, *ids, *starts, *ends, *names, *numbers])

    def span_ids(self, run: int, body: int) -> set[str]:
        """The span ids, in hexadecimal, in request `body` of a run (counted over all its groups)."""
        group, index = divmod(body, self.bodies)
        return {f"{mixed((run << 44) + (group << 20) + span):016x}" for span in self._spans[index]}

    def body(self, index: int, group: Group) -> bytes:
        """Request `index` of a group, an `ExportTraceServiceRequest`."""
        pieces, slots = self._pieces[index]
        filled: list[bytes] = [b""] * (len(pieces) + len(slots))
        filled[::2] = pieces
        values = group.values
        filled[1::2] = [values[slot] for slot in slots]
        return b"".join(filled)

    def _cut(self, spans: Sequence[Span]) -> tuple[list[bytes], list[int]]:
        resource = Resource(
            attributes=_attributes(
                {"service.name": "order-desk", "telemetry.sdk.language": "python", "service.version": "7.2.1"}
            )
        )
        scope = ScopeSpans(spans=spans)
        scope.scope.name = "order_desk.agents"
        request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=resource, scope_spans=[scope])])
        parts = _MARK.split(request.SerializeToString())
        return parts[::2], [self._slot(mark) for mark in parts[1::2]]

    def _slot(self, mark: bytes) -> int:
        sessions, spans = self.shape.sessions, self.shape.spans
        if mark.startswith(b"@@"):
            return sessions + 3 * spans + (0 if mark[2:3] == b"C" else sessions) + int(mark[3:10])
        begins = {b"T": 0, b"I": sessions, b"A": sessions + spans, b"Z": sessions + 2 * spans}
        return begins[mark[2:3]] + int.from_bytes(mark[3:7], "big")


def expected_steps(templates: Sequence[Template], run: int, bodies: Sequence[int]) -> Counter[str]:
    """Steps per session id in the given requests of a run. Request `n` is number `n % bodies` of group `n // bodies`."""
    expected: Counter[str] = Counter()
    for number in bodies:
        group, index = divmod(number, templates[0].bodies)
        for session, steps in templates[group % len(templates)].steps[index].items():
            expected[session_name(run, group, session)] += steps
    return expected
