"""What kind of error a failure is."""

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost_core import error_evidence as evidence
from watchpost_core import error_wording as wording
from watchpost_core.error_evidence import ErrorType
from watchpost_core.taxonomy import GROUPS, LONGEST, Failure, classify

TYPES: frozenset[str] = frozenset(get_args(ErrorType))
KINDS = ["llm", "tool", "handoff", "guardrail", "retrieval", "evaluation", "state", "human"]
STRUCTURAL = ["agent", "workflow", "chain", "turn"]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"

SERVER_ERROR = "The server had an error while processing your request"
ERROR_500 = f"Error code: 500 - {{'error': {{'message': '{SERVER_ERROR}', 'type': 'server_error', 'code': None}}}}"
NO_DATABASE = "order service unavailable: connection to orders-db:5432 refused"
NO_KEY = (
    "litellm.AuthenticationError: AuthenticationError: OpenAIException - The api_key client option must be set either by"
    " passing api_key to the client or by setting the OPENAI_API_KEY environment variable"
)
NO_CAPACITY = (
    'litellm.RateLimitError: RateLimitError: MistralException - {"object":"error","message":"Service tier capacity'
    ' exceeded for this model.","type":"service_tier_capacity_exceeded","param":null,"code":"3505"}'
)

AS_REPORTED: list[tuple[Failure, ErrorType | None]] = [
    (Failure("llm", "openai.InternalServerError", ERROR_500), "llm_api_unreachable"),
    (Failure("agent", "openai.InternalServerError", f"Error code: 500 - {SERVER_ERROR}"), "llm_api_unreachable"),
    (Failure("llm", "api_error", "", 500), "llm_api_unreachable"),
    (Failure("llm", "server_error", SERVER_ERROR, 500), "llm_api_unreachable"),
    (Failure("turn", "", ERROR_500), "llm_api_unreachable"),
    (
        Failure("chain", "Exception", f"OpenAIAPIError('Error code: 500 - {SERVER_ERROR}')Traceback (most recent call"),
        "llm_api_unreachable",
    ),
    (
        Failure("workflow", "google.genai.errors.ServerError", "500 INTERNAL. {'error': {'code': 500}}"),
        "llm_api_unreachable",
    ),
    (
        Failure(
            "agent", "pydantic_ai.exceptions.ModelServerError", "status_code: 500, model_name: gpt-4o-mini, body: {"
        ),
        "llm_api_unreachable",
    ),
    (
        Failure(
            "chain",
            "smolagents.utils.AgentGenerationError",
            f"Error while generating output:\nError code: 500 - {SERVER_ERROR}",
        ),
        "llm_api_unreachable",
    ),
    (
        Failure("agent", "_OTHER", "{'message': 'Error in agent run', 'data': {'error': 'Error code: 500 - The server"),
        "llm_api_unreachable",
    ),
    (
        Failure("agent", "AI_RetryError", f"Failed after 3 attempts. Last error: {SERVER_ERROR}"),
        "llm_api_unreachable",
    ),
    (Failure("llm", "AI_APICallError", SERVER_ERROR), "llm_api_unreachable"),
    (Failure("llm", "litellm.exceptions.AuthenticationError", NO_KEY), "llm_api_unreachable"),
    (
        Failure("chain", "smolagents.utils.AgentGenerationError", f"Error while generating output:\n{NO_KEY}"),
        "llm_api_unreachable",
    ),
    (
        Failure(
            "llm",
            "AI_APICallError",
            "Rate limit reached for gpt-4o-mini in organization org-x on requests per min (RPM)",
        ),
        "llm_rate_limited",
    ),
    (Failure("llm", "litellm.exceptions.RateLimitError", NO_CAPACITY), "llm_rate_limited"),
    (
        Failure("agent", "smolagents.utils.AgentGenerationError", f"Error while generating output:\n{NO_CAPACITY}"),
        "llm_rate_limited",
    ),
    (Failure("tool", "common.OrderServiceError", NO_DATABASE), "database_connection_failed"),
    (Failure("agent", "common.OrderServiceError", NO_DATABASE), "database_connection_failed"),
    (
        Failure(
            "tool", "pydantic_ai.exceptions.ToolRetryError", f"Error calling tool 'get_order_status': {NO_DATABASE}"
        ),
        "database_connection_failed",
    ),
    (Failure("tool", "Exception", f"OrderServiceError('{NO_DATABASE}')Traceback (most"), "database_connection_failed"),
    (
        Failure(
            "chain",
            "smolagents.utils.AgentToolExecutionError",
            f"Error executing tool: OrderServiceError: {NO_DATABASE}",
        ),
        "database_connection_failed",
    ),
    (Failure("tool", "ExecutionError"), "tool_execution_failed"),
    (
        Failure(
            "tool",
            "_OTHER",
            "Error running tool (non-fatal): {'error': 'Tool execution failed. Error details are redacted.'}",
        ),
        "tool_execution_failed",
    ),
    (
        Failure(
            "tool",
            "pydantic_core._pydantic_core.ValidationError",
            "1 validation error for issue_refund\n  Invalid JSON: expected value at line 1 column 33 [type=json_invalid",
        ),
        "llm_invalid_tool_call",
    ),
    (
        Failure(
            "tool", "", "Unknown tool name: 'cancel_subscription'. Available tools: 'get_order_status', 'issue_refund'"
        ),
        "llm_invalid_tool_call",
    ),
    (Failure("agent", "", "Max turns exceeded: {'max_turns': 2}"), "llm_infinite_loop"),
    (
        Failure(
            "chain",
            "crewai.tools.tool_failure.ToolExecutionFailedError",
            "Agent 'support_agent' called 'get_order_status' with the same arguments 5 times and got the same result",
        ),
        "llm_infinite_loop",
    ),
    (Failure("chain", "", "Guardrail tripwire triggered: {'guardrail': 'no_pii'}"), "guardrail_triggered"),
    (Failure("agent", "asyncio.exceptions.CancelledError"), None),
    (Failure("chain", "Exception", "ParentCommand(Command(graph='__parent__', update={'messages': []}))"), None),
    (Failure("evaluation", "RuntimeError", "judge unavailable"), "output_validation_failed"),
    (Failure("tool", "", "ValueError: No emails found. Try with a different query."), "tool_execution_failed"),
    (Failure("tool", "", "FileNotFoundError: Path /system/.ssh/ not found"), "tool_execution_failed"),
    (Failure("tool", "", "KeyError: 'username'"), "tool_execution_failed"),
    (
        Failure(
            "tool",
            "",
            "ValidationError: 1 validation error for Input schema for `search_emails`\nquery\n  Field required",
        ),
        "llm_invalid_tool_call",
    ),
    (Failure("tool", "", "Invalid tool change_password provided."), "llm_invalid_tool_call"),
    (Failure("tool", "", '{"error": "Unknown tool: tool_name"}'), "llm_invalid_tool_call"),
    (Failure("tool", "", "exitcode 124"), "tool_timeout"),
]
"""As real frameworks, tools and runs reported them."""


@pytest.mark.parametrize(("failure", "expected"), AS_REPORTED)
def test_what_real_frameworks_report_is_told_apart(failure: Failure, expected: ErrorType | None) -> None:
    assert classify(failure) == expected


AS_DOCUMENTED: list[tuple[Failure, ErrorType | None]] = [
    (Failure("llm", "openai.APIConnectionError", "Connection error."), "llm_api_unreachable"),
    (Failure("llm", "anthropic.APITimeoutError", "Request timed out."), "llm_api_unreachable"),
    (
        Failure("llm", "anthropic.APIStatusError", "{'type': 'overloaded_error', 'message': 'Overloaded'}", 529),
        "llm_api_unreachable",
    ),
    (
        Failure("llm", "google.genai.errors.ServerError", "503 UNAVAILABLE. {'message': 'The model is overloaded.'}"),
        "llm_api_unreachable",
    ),
    (
        Failure("llm", "openai.PermissionDeniedError", "Error code: 403 - Project does not have access"),
        "llm_api_unreachable",
    ),
    (
        Failure("llm", "openai.NotFoundError", "Error code: 404 - The model `gpt-9` does not exist"),
        "llm_api_unreachable",
    ),
    (Failure("llm", "AI_LoadAPIKeyError", "OpenAI API key is missing."), "llm_api_unreachable"),
    (
        Failure("agent", "pydantic_ai.exceptions.ModelHTTPError", "status_code: 503, model_name: x, body: None"),
        "llm_api_unreachable",
    ),
    (Failure("llm"), "llm_api_unreachable"),
    (Failure("llm", "500"), "llm_api_unreachable"),
    (Failure("llm", "openai.RateLimitError", "Error code: 429 - You exceeded your current quota"), "llm_rate_limited"),
    (
        Failure("llm", "google.genai.errors.ClientError", "429 RESOURCE_EXHAUSTED. {'error': {'code': 429}}"),
        "llm_rate_limited",
    ),
    (
        Failure(
            "llm", "botocore.errorfactory.ThrottlingException", "Too many tokens, please wait before trying again."
        ),
        "llm_rate_limited",
    ),
    (
        Failure(
            "llm",
            "botocore.exceptions.ClientError",
            "An error occurred (ThrottlingException) when calling the Converse operation",
        ),
        "llm_rate_limited",
    ),
    (Failure("llm", "mistralai.models.SDKError", "API error occurred: Status 429. Body: {}"), "llm_rate_limited"),
    (Failure("llm", "cohere.errors.TooManyRequestsError"), "llm_rate_limited"),
    (
        Failure("llm", "openai.BadRequestError", "Error code: 400 - {'error': {'code': 'context_length_exceeded'}}"),
        "llm_context_overflow",
    ),
    (
        Failure(
            "llm", "anthropic.BadRequestError", "Error code: 400 - prompt is too long: 210094 tokens > 200000 maximum"
        ),
        "llm_context_overflow",
    ),
    (
        Failure(
            "llm",
            "google.genai.errors.ClientError",
            "400 INVALID_ARGUMENT. The input token count (1200000) exceeds the maximum",
        ),
        "llm_context_overflow",
    ),
    (Failure("agent", "litellm.ContextWindowExceededError", "litellm.BadRequestError"), "llm_context_overflow"),
    (
        Failure("agent", "strands.types.exceptions.MaxTokensReachedException", "max_tokens limit"),
        "llm_context_overflow",
    ),
    (Failure("llm", "ValidationException", "Input is too long for requested model."), "llm_context_overflow"),
    (Failure("llm", "ValueError", "no answer", None, "max_tokens"), "llm_context_overflow"),
    (
        Failure(
            "llm", "openai.BadRequestError", "Error code: 400 - {'error': {'code': 'content_filter', 'status': 400}}"
        ),
        "llm_refused_request",
    ),
    (
        Failure("llm", "openai.ContentFilterFinishReasonError", "Could not parse response content"),
        "llm_refused_request",
    ),
    (Failure("agent", "agents.exceptions.ModelRefusalError", "I can't help with that"), "llm_refused_request"),
    (Failure("llm", "", "", None, "SAFETY"), "llm_refused_request"),
    (Failure("llm", "AI_NoObjectGeneratedXError", "", None, "content-filter"), "llm_refused_request"),
    (
        Failure("llm", "openai.BadRequestError", "Error code: 400 - Unsupported parameter: 'max_tokens'"),
        "llm_refused_request",
    ),
    (Failure("agent", "langgraph.errors.GraphRecursionError", "Recursion limit of 25 reached"), "llm_infinite_loop"),
    (Failure("agent", "", "Recursion limit of 25 reached without hitting a stop condition."), "llm_infinite_loop"),
    (Failure("chain", "", "Agent stopped due to iteration limit or time limit."), "llm_infinite_loop"),
    (
        Failure("agent", "pydantic_ai.exceptions.UsageLimitExceeded", "would exceed the request_limit of 50"),
        "llm_infinite_loop",
    ),
    (
        Failure("agent", "WorkflowRuntimeError", "Max iterations of 20 reached! Either something went wrong"),
        "llm_infinite_loop",
    ),
    (Failure("agent", "", "Reached max steps."), "llm_infinite_loop"),
    (
        Failure("agent", "agents.exceptions.ModelBehaviorError", "Tool cancel not found in agent support"),
        "llm_invalid_tool_call",
    ),
    (Failure("agent", "AI_NoSuchToolError", "Model tried to call unavailable tool 'x'."), "llm_invalid_tool_call"),
    (Failure("tool", "McpError", "MCP error -32602: Tool cancel not found"), "llm_invalid_tool_call"),
    (
        Failure("tool", "TypeError", "refund() missing 1 required positional argument: 'order_id'"),
        "llm_invalid_tool_call",
    ),
    (Failure("llm", "groq.BadRequestError", "Error code: 400 - {'code': 'tool_use_failed'}"), "llm_invalid_tool_call"),
    (Failure("llm", "", "", None, "MALFORMED_FUNCTION_CALL"), "llm_invalid_tool_call"),
    (Failure("tool", "httpx.ConnectError", "All connection attempts failed"), "tool_server_down"),
    (Failure("tool", "TypeError", "fetch failed"), "tool_server_down"),
    (Failure("tool", "McpError", "MCP error -32000: Connection closed"), "tool_server_down"),
    (
        Failure("tool", "requests.exceptions.HTTPError", "503 Server Error: Service Unavailable for url: http://x"),
        "tool_server_down",
    ),
    (Failure("tool", "httpx.HTTPStatusError", "Server error '502 Bad Gateway' for url 'http://x'"), "tool_server_down"),
    (Failure("tool", "McpError", "MCP error -32001: Request timed out"), "tool_timeout"),
    (Failure("tool", "requests.exceptions.ReadTimeout", "Read timed out. (read timeout=5)"), "tool_timeout"),
    (Failure("tool", "agents.exceptions.ToolTimeoutError", "Tool 'x' timed out after 5 seconds."), "tool_timeout"),
    (
        Failure("tool", "json.decoder.JSONDecodeError", "Expecting value: line 1 column 1 (char 0)"),
        "tool_invalid_response",
    ),
    (
        Failure("tool", "aiohttp.client_exceptions.ContentTypeError", "200, message='Attempt to decode JSON'"),
        "tool_invalid_response",
    ),
    (
        Failure("tool", "ValidationError", "1 validation error for OrderResponse\nid\n  Field required"),
        "tool_invalid_response",
    ),
    (Failure("tool", "", "Output validation error: 'x' is a required property"), "tool_invalid_response"),
    (
        Failure("tool", "psycopg.OperationalError", "connection failed: Connection refused"),
        "database_connection_failed",
    ),
    (
        Failure("tool", "sqlalchemy.exc.TimeoutError", "QueuePool limit of size 5 overflow 10 reached"),
        "database_connection_failed",
    ),
    (Failure("retrieval", "redis.exceptions.ConnectionError", "Error 111"), "database_connection_failed"),
    (Failure("tool", "ToolException", "redis.exceptions.ConnectionError: Error 111"), "database_connection_failed"),
    (Failure("state", "pymongo.errors.ServerSelectionTimeoutError", "localhost:27017"), "database_connection_failed"),
    (Failure("tool", "sqlite3.OperationalError", "no such table: orders"), "tool_execution_failed"),
    (Failure("tool", "psycopg.errors.UniqueViolation", "duplicate key value"), "tool_execution_failed"),
    (Failure("tool", "langchain_core.tools.base.ToolException", "order not found"), "tool_execution_failed"),
    (
        Failure("chain", "langchain_core.exceptions.OutputParserException", "Could not parse LLM output"),
        "output_validation_failed",
    ),
    (
        Failure("agent", "pydantic_ai.exceptions.UnexpectedModelBehavior", "Exceeded maximum retries (1)"),
        "output_validation_failed",
    ),
    (
        Failure("llm", "pydantic_core._pydantic_core.ValidationError", "1 validation error for Plan"),
        "output_validation_failed",
    ),
    (Failure("agent", "agents.exceptions.InputGuardrailTripwireTriggered", "Guardrail x"), "guardrail_triggered"),
    (Failure("guardrail", "ValueError", "no swearing"), "guardrail_triggered"),
    (Failure("llm", "", "", None, "guardrail_intervened"), "guardrail_triggered"),
    (Failure("guardrail", "", "Prompt injection detected in tool output"), "prompt_injection"),
    (Failure("chain", "", "Guardrail tripwire triggered: {'guardrail': 'prompt_injection'}"), "prompt_injection"),
    (
        Failure(
            "llm",
            "openai.BadRequestError",
            "'content_filter_result': {'jailbreak': {'filtered': True, 'detected': True}}",
        ),
        "prompt_injection",
    ),
    (
        Failure(
            "llm",
            "openai.BadRequestError",
            "'content_filter_result': {'jailbreak': {'filtered': False, 'detected': False}}",
        ),
        "llm_refused_request",
    ),
    (Failure("handoff", "ValueError", "no such agent"), "handoff_failed"),
    (Failure("agent", "ValueError", "Agent 'billing' not found.\nAvailable agents: support"), "handoff_failed"),
]
"""As libraries document their errors."""


@pytest.mark.parametrize(("failure", "expected"), AS_DOCUMENTED)
def test_what_libraries_document_is_told_apart(failure: Failure, expected: ErrorType | None) -> None:
    assert classify(failure) == expected


def test_every_type_is_the_answer_to_something() -> None:
    assert {expected for _, expected in AS_REPORTED + AS_DOCUMENTED} - {None} == TYPES


@pytest.mark.parametrize(
    ("failure", "model", "tool", "agent"),
    [
        (Failure("", "TimeoutError", "timed out"), "llm_api_unreachable", "tool_timeout", None),
        (Failure("", "httpx.ConnectError", ""), "llm_api_unreachable", "tool_server_down", None),
        (Failure("", "", "", 429), "llm_rate_limited", "tool_execution_failed", "llm_rate_limited"),
        (Failure("", "", "", 500), "llm_api_unreachable", "tool_execution_failed", None),
        (Failure("", "", "", 503), "llm_api_unreachable", "tool_server_down", None),
        (Failure("", "", "", 504), "llm_api_unreachable", "tool_timeout", None),
        (Failure("", "", "", 401), "llm_api_unreachable", "tool_execution_failed", None),
        (Failure("", "", "", 400), "llm_refused_request", "tool_execution_failed", None),
        (
            Failure("", "ValidationError", ""),
            "output_validation_failed",
            "llm_invalid_tool_call",
            "output_validation_failed",
        ),
        (Failure("", "KeyError", "'x'"), None, "tool_execution_failed", None),
    ],
)
def test_the_same_evidence_means_what_the_kind_makes_of_it(
    failure: Failure, model: ErrorType | None, tool: ErrorType | None, agent: ErrorType | None
) -> None:
    assert [classify(failure._replace(kind=kind)) for kind in ("llm", "tool", "agent")] == [model, tool, agent]


def test_a_model_that_a_tool_or_a_guardrail_calls_is_still_a_model() -> None:
    for kind in ("tool", "guardrail", "handoff", "agent"):
        assert classify(Failure(kind, "openai.RateLimitError", "Error code: 429")) == "llm_rate_limited"
        assert classify(Failure(kind, "anthropic.InternalServerError", "Error code: 500")) == "llm_api_unreachable"
        assert classify(Failure(kind, "openai.APIError")) == "llm_api_unreachable"


def test_an_exception_that_a_wrapper_names_is_found_in_its_message() -> None:
    assert classify(Failure("chain", "Exception", "GraphRecursionError('too deep')")) == "llm_infinite_loop"
    assert classify(Failure("tool", "ToolException", "wrapped TimeoutError()")) == "tool_timeout"


def test_a_status_given_beats_one_that_a_message_names() -> None:
    assert classify(Failure("tool", "", "status 503", 504)) == "tool_timeout"


def test_a_status_below_400_is_no_evidence() -> None:
    assert classify(Failure("tool", "", "HTTP/1.1 504", 200)) == "tool_timeout"


failures = st.builds(
    Failure,
    kind=st.sampled_from([*KINDS, *STRUCTURAL, ""]) | st.text(max_size=9),
    exception=st.sampled_from(sorted(evidence.KNOWN)) | st.text(max_size=40),
    message=st.lists(
        st.sampled_from(sorted(evidence.KNOWN))
        | st.sampled_from(
            [phrase for rule in (*wording.SPECIFIC, *wording.GENERAL) for phrase in rule.says + rule.also]
        )
        | st.text(max_size=30)
    ).map(" ".join),
    http_status=st.none() | st.integers(),
    finish_reason=st.sampled_from([*evidence.FINISHED, *evidence.TRUNCATED]) | st.text(max_size=9),
)


@given(failures)
def test_any_failure_has_one_of_the_types_or_none(failure: Failure) -> None:
    assert classify(failure) in TYPES | {None}


@given(failures, st.sampled_from(["tool", "retrieval", "guardrail", "handoff", "evaluation"]))
def test_a_failed_step_always_has_a_type_unless_it_was_stopped(failure: Failure, kind: str) -> None:
    stopped = {failure.exception.rpartition(".")[2], failure.message[:LONGEST].partition("(")[0]} & evidence.STOPPED
    model_mistake = failure.exception.rpartition(".")[2] in evidence.MISTAKES
    assert classify(failure._replace(kind=kind)) in (TYPES if not stopped and not model_mistake else TYPES | {None})


def test_what_stands_behind_the_beginning_of_a_message_is_no_evidence() -> None:
    assert classify(Failure("tool", "", " " * LONGEST + "timed out")) == "tool_execution_failed"
    assert classify(Failure("tool", "", " " * (LONGEST - 9) + "timed out")) == "tool_timeout"


@given(failures, st.text())
def test_only_the_beginning_of_a_message_is_looked_at(failure: Failure, more: str) -> None:
    full = failure.message.ljust(LONGEST)[:LONGEST]
    assert classify(failure._replace(message=full + more)) == classify(failure._replace(message=full))


@pytest.mark.parametrize(
    "part",
    ["a", ".", "Error", "Error.", "tool a", "status ", "validation error for ", "jailbreak': {detect ", '"\\', "()"],
)
def test_hostile_messages_are_no_work(part: str) -> None:
    assert classify(Failure("tool", "", part * 100_000)) in TYPES


def test_every_type_has_a_group() -> None:
    assert GROUPS.keys() == TYPES


def test_phrases_are_lower_case_as_the_text_they_are_looked_for_in() -> None:
    phrases = [phrase for rule in (*wording.SPECIFIC, *wording.GENERAL) for phrase in rule.says + rule.also]
    phrases += [*wording.DATABASES, *wording.DISCONNECTED, *wording.LOST, *(phrase for phrase, _ in wording.TELLTALES)]
    assert [phrase for phrase in phrases if phrase != phrase.lower() or not phrase.strip()] == []


def test_no_name_stands_in_two_tables_that_decide() -> None:
    assert evidence.SURE.keys().isdisjoint(evidence.NAMED)
    assert evidence.STOPPED.isdisjoint(evidence.KNOWN)


def test_the_page_names_every_type_exception_status_and_finish_reason() -> None:
    page = PAGE.read_text(encoding="utf-8")
    names = [*TYPES, *evidence.SURE, *evidence.NAMED, *evidence.SPEAKERS, *evidence.STOPPED, *evidence.FINISHED]
    names += [*evidence.DRIVER_ERRORS, *evidence.UNCONNECTED, *map(str, evidence.STATUS), *evidence.MISTAKES]
    assert [name for name in names if f"`{name}`" not in page] == []
