"""What exceptions, HTTP statuses and finish reasons say of a failure: tables that `taxonomy.classify` walks.

The names are those of the libraries' own exceptions, without their modules unless a module is what tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

ErrorType = Literal[
    "llm_api_unreachable",
    "database_connection_failed",
    "tool_server_down",
    "llm_invalid_tool_call",
    "llm_refused_request",
    "llm_infinite_loop",
    "llm_context_overflow",
    "tool_execution_failed",
    "tool_timeout",
    "tool_invalid_response",
    "output_validation_failed",
    "guardrail_triggered",
    "llm_rate_limited",
    "prompt_injection",
    "handoff_failed",
]

Side = Literal["model", "tool", "check", "run"]
"""Who failed: a model call, a tool or retrieval, a check (guardrail or evaluation), or something in a run that is not told."""

Means = Mapping[Side, ErrorType]
"""The type by who failed; a side that is not there is told nothing, and weaker evidence is asked."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def always(error: ErrorType) -> Means:
    """The same whoever failed."""
    return {"model": error, "tool": error, "check": error, "run": error}


def but_tools(error: ErrorType) -> Means:
    """The same whoever failed, and nothing of tools."""
    return {"model": error, "check": error, "run": error}


SIDES: Mapping[str, Side] = {
    "llm": "model",
    "tool": "tool",
    "retrieval": "tool",
    "guardrail": "check",
    "evaluation": "check",
}
"""By kind; every other kind is the run's."""

DEFAULTS: Mapping[str, ErrorType] = {
    "guardrail": "guardrail_triggered",
    "handoff": "handoff_failed",
    "evaluation": "output_validation_failed",
}
"""What a failure of a kind is where nothing tells."""

SIDE_DEFAULTS: Mapping[Side, ErrorType] = {"model": "llm_api_unreachable", "tool": "tool_execution_failed"}
"""What a failure of a model or a tool is where nothing tells."""

TIMED_OUT: Means = {"model": "llm_api_unreachable", "tool": "tool_timeout", "check": "tool_timeout"}
UNREACHABLE: Means = {"model": "llm_api_unreachable", "tool": "tool_server_down", "check": "tool_server_down"}
THROTTLED: Means = {**but_tools("llm_rate_limited"), "tool": "tool_execution_failed"}
REJECTED: Means = {"model": "llm_refused_request", "tool": "tool_execution_failed"}
UNUSABLE: Means = {"model": "llm_api_unreachable", "tool": "tool_execution_failed"}
MALFORMED: Means = {**but_tools("output_validation_failed"), "tool": "tool_invalid_response"}
UNFIT: Means = {**but_tools("output_validation_failed"), "tool": "llm_invalid_tool_call"}

SERVER_ERROR = UNUSABLE
"""A 5xx that `STATUS` does not name."""

STATUS: Mapping[int, Means] = {
    401: UNUSABLE,
    402: UNUSABLE,
    403: UNUSABLE,
    404: UNUSABLE,
    408: TIMED_OUT,
    413: {"model": "llm_context_overflow", "tool": "tool_execution_failed"},
    429: THROTTLED,
    502: UNREACHABLE,
    503: UNREACHABLE,
    504: TIMED_OUT,
    529: UNREACHABLE,
}

FINISHED: Mapping[str, ErrorType] = {
    "content_filter": "llm_refused_request",
    "content_filtered": "llm_refused_request",
    "refusal": "llm_refused_request",
    "safety": "llm_refused_request",
    "recitation": "llm_refused_request",
    "blocklist": "llm_refused_request",
    "prohibited_content": "llm_refused_request",
    "spii": "llm_refused_request",
    "guardrail_intervened": "guardrail_triggered",
    "malformed_function_call": "llm_invalid_tool_call",
    "unexpected_tool_call": "llm_invalid_tool_call",
    "too_many_tool_calls": "llm_infinite_loop",
    "model_context_window_exceeded": "llm_context_overflow",
}

TRUNCATED = frozenset({"length", "max_tokens", "max_output_tokens"})
"""Finish reasons of an answer that was cut at a token limit: weak evidence, since answers that did not fail end so too."""

STOPPED = _names("""
    CancelledError AbortError KeyboardInterrupt GeneratorExit SystemExit RunCancelled NodeCancelledError
    ParentCommand GraphInterrupt GraphBubbleUp NodeInterrupt CallDeferred ApprovalRequired
""")
"""Exceptions by which work is cancelled, handed over or made to wait."""

MISTAKES = _names("""
    TypeError KeyError AttributeError NameError IndexError AssertionError ImportError ModuleNotFoundError
""")
"""Programming errors: in a model call's span they are the caller's, and no type fits."""

_SURE: Mapping[ErrorType, frozenset[str]] = {
    "llm_infinite_loop": _names("""
        GraphRecursionError MaxTurnsExceeded MaxTurnsExceededError AgentMaxStepsError UsageLimitExceeded
        LlmCallsLimitExceededError ModelCallLimitExceededError ToolCallLimitExceededError
    """),
    "llm_context_overflow": _names("""
        ContextWindowExceededError ContextOverflowError OpenAIContextOverflowError OpenAIAPIContextOverflowError
        ContextWindowOverflowException ContextWindowOverflowError LLMContextLengthExceededError MaxTokensReachedException
        MaxTokensError LengthFinishReasonError IncompleteToolCall IncompleteOutputException
    """),
    "llm_refused_request": _names("""
        ContentPolicyViolationError ContentFilterFinishReasonError ContentFilterError ContentFilterAIException
        ServiceContentFilterException ModelRefusalError OpenAIRefusalError
    """),
    "llm_invalid_tool_call": _names("""
        AI_NoSuchToolError AI_InvalidToolArgumentsError AI_InvalidToolInputError AI_ToolCallRepairError
        InvalidToolInputError ToolInvocationError AgentToolCallError
    """),
    "output_validation_failed": _names("""
        OutputParserException StructuredOutputError StructuredOutputValidationError MultipleStructuredOutputsError
        StructuredOutputException AI_NoObjectGeneratedError AI_NoOutputGeneratedError AI_TypeValidationError
        AgentParsingError
    """),
    "tool_timeout": _names("ToolTimeoutError"),
    "tool_server_down": _names("MCPClientInitializationError"),
    "database_connection_failed": _names("""
        ServerSelectionTimeoutError AutoReconnect BusyLoadingError CannotConnectNowError ConnectionDoesNotExistError
        TooManyConnectionsError PrismaClientInitializationError MongoServerSelectionError MongoNetworkError
        SequelizeConnectionError SequelizeConnectionRefusedError SequelizeHostNotFoundError
    """),
}
SURE: Mapping[str, ErrorType] = {name: error for error, names in _SURE.items() for name in names}

_NAMED: tuple[tuple[Means, frozenset[str]], ...] = (
    (
        TIMED_OUT,
        _names("""
            TimeoutError Timeout TimeoutException ReadTimeout ConnectTimeout WriteTimeout PoolTimeout ReadTimeoutError
            ConnectTimeoutError ServerTimeoutError TimeoutExpired FutureTimeoutError DeadlineExceeded GatewayTimeout
            GatewayTimeoutError SocketTimeoutException timeout
        """),
    ),
    (
        {**but_tools("llm_api_unreachable"), "tool": "tool_timeout"},
        _names("APITimeoutError ModelTimeoutError ModelTimeoutException OpenAITimeoutError"),
    ),
    (
        UNREACHABLE,
        _names("""
            ConnectionError ConnectError ConnectionRefusedError ConnectionResetError ConnectionAbortedError BrokenPipeError
            NewConnectionError MaxRetryError NameResolutionError NetworkError ReadError WriteError RemoteProtocolError
            ProxyError SSLError ClientConnectionError ClientConnectorError ClientOSError ServerConnectionError
            ServerDisconnectedError EndpointConnectionError ConnectionClosedError ProxyConnectionError ClosedResourceError
            BrokenResourceError gaierror ServiceUnavailable ServiceUnavailableError BadGateway ConnectException
            UnknownHostException
        """),
    ),
    (
        {**but_tools("llm_api_unreachable"), "tool": "tool_server_down"},
        _names("APIConnectionError ModelConnectionError OpenAIConnectionError OverloadedError"),
    ),
    (
        THROTTLED,
        _names("""
            RateLimitError ModelRateLimitError OpenAIRateLimitError TooManyRequests TooManyRequestsError ResourceExhausted
            ThrottlingException ModelThrottledException ModelThrottledError ServiceQuotaExceededException
        """),
    ),
    (
        REJECTED,
        _names("""
            BadRequestError UnprocessableEntityError ConflictError InvalidRequestError UnsupportedParamsError
            InvalidArgument ModelInvalidRequestError OpenAIInvalidRequestError ValidationException
        """),
    ),
    (
        MALFORMED,
        _names("""
            JSONDecodeError InvalidJSONError ContentTypeError DecodingError ContentDecodingError UnicodeDecodeError
            PydanticSerializationError AI_JSONParseError
        """),
    ),
    (
        {"model": "llm_api_unreachable", "tool": "tool_invalid_response"},
        _names("""
            ChunkedEncodingError IncompleteRead ClientPayloadError APIResponseValidationError AI_EmptyResponseBodyError
            AI_InvalidResponseDataError
        """),
    ),
    (UNFIT, _names("ValidationError")),
    (but_tools("output_validation_failed"), _names("UnexpectedModelBehavior InstructorRetryException")),
    (always("llm_invalid_tool_call"), _names("ModelBehaviorError")),
    (
        always("guardrail_triggered"),
        _names("""
            InputGuardrailTripwireTriggered OutputGuardrailTripwireTriggered ToolInputGuardrailTripwireTriggered
            ToolOutputGuardrailTripwireTriggered PIIDetectionError
        """),
    ),
)
NAMED: Mapping[str, Means] = {name: means for means, names in _NAMED for name in names}

MODEL_CLIENTS = tuple(
    _names("""
        openai. anthropic. litellm. google.genai. google.generativeai. mistralai. cohere. groq. ollama. langchain_openai.
        langchain_anthropic. langchain_core.exceptions.Model pydantic_ai.exceptions.ModelHTTPError
        pydantic_ai.exceptions.ModelAPIError pydantic_ai.exceptions.ModelServerError AI_APICallError
    """)
)
"""How the names of model clients' exceptions begin."""

_SPEAKERS: Mapping[Side, frozenset[str]] = {
    "model": _names("""
        AI_APICallError AI_RetryError AI_LoadAPIKeyError AI_NoSuchModelError AI_EmptyResponseBodyError
        AI_InvalidResponseDataError AgentGenerationError ModelHTTPError ModelAPIError ModelServerError OpenAIAPIError
        APIStatusError FallbackExceptionGroup
    """),
    "tool": _names("""
        ToolException ToolError ToolExecutionError ToolExecutionFailedError ToolCallError ToolRetryError ToolFailed
        ToolFailedError AI_ToolExecutionError AgentToolExecutionError McpError McpToolCallError tool_error
    """),
}
SPEAKERS: Mapping[str, Side] = {name: side for side, names in _SPEAKERS.items() for name in names}
"""Exceptions that say who failed and not how."""

DRIVERS = tuple(
    _names("""
        psycopg asyncpg. sqlalchemy. django.db. pymongo. redis. sqlite3. pymysql. mysql. MySQLdb. aiomysql. oracledb. pyodbc.
        neo4j. cassandra. elastic_transport. elasticsearch. opensearchpy.
    """)
)
"""How the dotted names of database drivers' exceptions begin."""

DRIVER_ERRORS = _names("OperationalError InterfaceError ProgrammingError IntegrityError DataError PSQLException")

UNCONNECTED = _names("""
    ConnectionError TimeoutError ConnectionTimeout ConnectionFailure NetworkTimeout NotPrimaryError PoolTimeout
    NoHostAvailable ServiceUnavailable SessionExpired
""")
"""Names that say of a driver's exception that there was no connection."""

KNOWN = frozenset([*SURE, *NAMED, *SPEAKERS, *DRIVER_ERRORS, *UNCONNECTED]) - {"timeout"}
"""Names worth finding in a message, where "timeout" is a word."""
