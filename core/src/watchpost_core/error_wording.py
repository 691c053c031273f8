"""What words in a message say of a failure: tables that `taxonomy.classify` walks.

Phrases are lower case, as the text they are looked for in. Patterns are bounded, so that work grows with the text alone.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from watchpost_core.error_evidence import MALFORMED, TIMED_OUT, UNFIT, UNREACHABLE, Means, Side, always, but_tools


class Wording(NamedTuple):
    """Text says this if it holds one of `says`, one of `also` where given, and `exactly` where given."""

    means: Means
    says: tuple[str, ...]
    also: tuple[str, ...] = ()
    exactly: re.Pattern[str] | None = None


def _phrases(text: str) -> tuple[str, ...]:
    """Phrases between bars, their white space made single spaces."""
    return tuple(" ".join(phrase.split()) for phrase in text.split("|"))


TELLTALES: tuple[tuple[str, Side], ...] = (
    ("error running tool", "tool"),
    ("error executing tool", "tool"),
    ("error calling tool", "tool"),
    ("error code: 4", "model"),
    ("error code: 5", "model"),
    ("error getting response", "model"),
)
"""Words by which frameworks say who failed beneath a structural span."""

DATABASES = _phrases("""
    database | postgres | mysql | mariadb | mongo | redis | sqlite | sql server | -db | _db
    | :5432 | :3306 | :27017 | :6379 | :1433 | :1521
""")
"""Words that name a database, and the ports of the commonest."""

DISCONNECTED = _phrases("""
    too many clients | remaining connection slots | queuepool limit | unable to open database | can't reach database
    | database system is starting up | database system is shutting down | password authentication failed
    | could not translate host name
""")
"""Words of databases for having no connection."""

LOST = _phrases("""
    refused | timed out | timeout | reset | closed | lost | failed | unable to | could not | can't | cannot | too many
    | unreachable | terminated | not available
""")
"""Words that, beside "connect", say that a connection was lost."""

SPECIFIC: tuple[Wording, ...] = (
    Wording(
        always("prompt_injection"),
        _phrases("prompt injection | prompt_injection | prompt-injection | prompt attack | prompt_attack | jailbreak"),
        _phrases("detect | block | trigger | flag | tripwire | attempt | violat | reject | denied"),
        re.compile(r"prompt[ _-](?:injection|attack)|jailbreak(?: attempt| detected|[\"']: ?\{[^}]{0,80}true)"),
    ),
    Wording(always("guardrail_triggered"), ("tripwire",)),
    Wording(
        always("guardrail_triggered"),
        ("guardrail",),
        _phrases(
            "trigger | block | violat | interven | reject | denied | failed guardrail | guardrail failed | validation"
        ),
    ),
    Wording(
        always("llm_infinite_loop"),
        _phrases("""
            max turns | max_turns | maximum number of turns | max iterations | max_iterations | maximum iterations
            | max steps | max_steps | maximum steps | maximum number of steps | recursion limit | recursion_limit
            | iteration limit | request_limit
        """),
        _phrases("exceed | reach | stopped | error_max_turns"),
    ),
    Wording(always("llm_infinite_loop"), ("with the same arguments",), (" times",)),
    Wording(
        but_tools("llm_context_overflow"),
        _phrases("""
            context_length_exceeded | context length | prompt is too long | context window | context_window | context limit
            | context size | input is too long | input token count | maximum number of tokens | too many total text bytes
            | reduce the length of the messages | maximum prompt length | exceeds token limit | input tokens exceed
        """),
        _phrases("exceed | too long | maximum | too many | full | reduce"),
    ),
    Wording(
        but_tools("llm_refused_request"),
        _phrases("""
            content_filter | content filter | content_policy | content policy | content management policy
            | responsibleaipolicyviolation | usage policy | usage policies | safety system | prohibited_content | model refusal
            | refused to answer | refused to respond | refused the request
        """),
    ),
    Wording(MALFORMED, _phrases("output validation error | structured content")),
    Wording(
        MALFORMED,
        ("validation error",),
        exactly=re.compile(r"validation errors? for [^\n]{0,200}?(?:response|result|output)\b"),
    ),
    Wording(
        always("llm_invalid_tool_call"),
        _phrases("""
            unknown tool | no such tool | unavailable tool | not a valid tool | available tools | no tool named
            | tool_use_failed | invalid tool call | malformed_function_call | malformed function call
            | invalid json input for tool | invalid input for tool | input schema for | input validation error
            | inputvalidationerror | unknown function
        """),
    ),
    Wording(
        always("llm_invalid_tool_call"),
        _phrases("not found | does not exist | invalid tool"),
        ("tool", "function"),
        re.compile(
            r"\b(?:tool|function) [\"'`]?[\w.:/-]{1,128}[\"'`]? (?:is |was )?(?:not found|does not exist)"
            r"|\binvalid tool [\"'`]?[\w.:/-]{1,128}[\"'`]? provided"
        ),
    ),
    Wording(
        {"tool": "llm_invalid_tool_call"},
        _phrases("""
            required positional argument | unexpected keyword argument | missing required | invalid argument
            | invalid param | -32601 | -32602
        """),
    ),
    Wording({"run": "handoff_failed", "tool": "handoff_failed"}, ("available agents:", "agent tree")),
    Wording(
        {"run": "handoff_failed", "tool": "handoff_failed"}, ("handoff", "hand-off"), ("failed", "not found", "unknown")
    ),
)
"""Wording of which each means one thing."""

GENERAL: tuple[Wording, ...] = (
    Wording(
        but_tools("llm_rate_limited"),
        _phrases("""
            rate limit | rate_limit | ratelimit | too many requests | resource_exhausted | throttl
            | current quota | insufficient_quota | quota exceeded
            | requests per min | tokens per min
        """),
    ),
    Wording(but_tools("llm_api_unreachable"), ("overloaded", "had an error while processing your request")),
    Wording(
        TIMED_OUT,
        _phrases("""
            timed out | timeout exceeded | timeout after | timeout of | request timeout | gateway timeout | read timeout
            | connection timeout | deadline exceeded | deadline_exceeded | etimedout | exit code 124 | exitcode 124
            | exit status 124
        """),
    ),
    Wording(
        UNREACHABLE,
        _phrases("""
            connection refused | econnrefused | connection reset | econnreset | connection error | connection aborted
            | connection closed | connection attempts failed | failed to connect | cannot connect | could not connect
            | failed to establish a new connection | name or service not known | name resolution | getaddrinfo
            | no route to host | network is unreachable | fetch failed | server disconnected | service unavailable
            | bad gateway | socket hang up | statuscode.unavailable
        """),
    ),
    Wording(
        MALFORMED,
        _phrases("""
            expecting value: line | unexpected end of json | not valid json | invalid json | unexpected token
            | output schema
        """),
    ),
    Wording(UNFIT, ("validation error",)),
)
"""Wording whose meaning depends on who said it."""
