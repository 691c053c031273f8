"""MLflow tracing. Source: its documentation and output. Every value is JSON, texts included."""

from __future__ import annotations

from watchpost.ingest.dialects.dialect import Dialect

_USAGE = "mlflow.chat.tokenUsage"

DIALECT = Dialect(
    name="mlflow",
    facts={
        "kind": ("mlflow.spanType",),
        "own_session": ("mlflow.trace.session", "metadata>mlflow.trace.session"),
        "user_id": ("mlflow.trace.user", "metadata>mlflow.trace.user"),
        "provider": ("mlflow.llm.provider",),
        "model": ("mlflow.llm.model", "mlflow.spanOutputs>model", "mlflow.spanInputs>model", "model"),
        "tool": ("mlflow.spanFunctionName",),
        "finish": ("mlflow.spanOutputs>choices.0.finish_reason",),
        "offered": ("mlflow.chat.tools",),
        "input": ("mlflow.spanInputs", "mlflow.chat.messages"),
        "output": ("mlflow.spanOutputs",),
        "tool_input": ("mlflow.spanInputs",),
        "tool_output": ("mlflow.spanOutputs",),
        "input_tokens": (
            f"{_USAGE}>input_tokens",
            "mlflow.spanOutputs>usage.prompt_tokens",
            "mlflow.spanOutputs>usage.input_tokens",
        ),
        "output_tokens": (
            f"{_USAGE}>output_tokens",
            "mlflow.spanOutputs>usage.completion_tokens",
            "mlflow.spanOutputs>usage.output_tokens",
        ),
        "cached_tokens": (
            f"{_USAGE}>cache_read_input_tokens",
            "mlflow.spanOutputs>usage.prompt_tokens_details.cached_tokens",
            "mlflow.spanOutputs>usage.input_tokens_details.cached_tokens",
        ),
        "cache_write_tokens": (f"{_USAGE}>cache_creation_input_tokens",),
        "reasoning_tokens": (
            "mlflow.spanOutputs>usage.completion_tokens_details.reasoning_tokens",
            "mlflow.spanOutputs>usage.output_tokens_details.reasoning_tokens",
        ),
    },
    kinds={
        "llm": "llm",
        "chat_model": "llm",
        "tool": "tool",
        "agent": "agent",
        "chain": "chain",
        "workflow": "workflow",
        "task": "chain",
        "retriever": "retrieval",
        "embedding": "retrieval",
        "reranker": "retrieval",
        "memory": "state",
        "guardrail": "guardrail",
        "evaluator": "evaluation",
        "parser": "chain",
        "unknown": "chain",
    },
)
