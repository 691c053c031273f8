"""OpenInference, as Arize's instrumentations send it. Source: its semantic conventions and the instrumentations' output."""

from __future__ import annotations

from watchpost.ingest.dialects.dialect import Dialect

DIALECT = Dialect(
    name="openinference",
    facts={
        "kind": ("openinference.span.kind",),
        "own_session": ("session.id",),
        "agent": ("agent.name", "metadata>lc_agent_name"),
        "user_id": ("user.id",),
        "prompt_version": ("llm.prompt_template.version",),
        "evaluator": ("annotations.0.annotation.name", "evaluations.0.evaluation.name"),
        "score": ("annotations.0.annotation.score", "evaluations.0.evaluation.score"),
        "label": ("annotations.0.annotation.label", "evaluations.0.evaluation.label"),
        "provider": ("llm.provider", "llm.system"),
        "model": ("llm.response.model_name", "llm.model_name", "embedding.model_name", "llm.request.model_name"),
        "tool": ("tool.name",),
        "call_id": ("tool_call.id", "tool.id"),
        "finish": ("llm.finish_reason",),
        "input": ("input.value",),
        "output": ("output.value",),
        "tool_input": ("input.value",),
        "tool_output": ("output.value",),
        "input_tokens": ("llm.token_count.prompt",),
        "output_tokens": ("llm.token_count.completion",),
        "cached_tokens": ("llm.token_count.prompt_details.cache_read",),
        "cache_write_tokens": ("llm.token_count.prompt_details.cache_write",),
        "reasoning_tokens": ("llm.token_count.completion_details.reasoning",),
    },
    kinds={
        "llm": "llm",
        "tool": "tool",
        "agent": "agent",
        "chain": "chain",
        "retriever": "retrieval",
        "reranker": "retrieval",
        "embedding": "retrieval",
        "guardrail": "guardrail",
        "evaluator": "evaluation",
        "prompt": "chain",
    },
    disguises={
        r"invoke_agent( .*)?": "agent",  # Google ADK: marked as a model call
        r"\w+\._prepare_chat_with_tools": "chain",  # LlamaIndex: marked as a model call, calls nothing
        r"FinalAnswerTool": "chain",  # smolagents: how a run returns
        r"handoff to .*": "handoff",  # OpenAI Agents SDK: marked as a tool call
    },
)
