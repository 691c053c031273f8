"""Which provider and model of the published price tables a call means, however frameworks, gateways and clouds spell them.

Sources: the captures in `tests/fixtures`, the provider names of OpenTelemetry's generative AI convention, and the prefixes that
LiteLLM, LangChain and the Vercel AI SDK put before provider and model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

ALIASES = {
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "azure-openai": "azure",
    "azure_ai": "azure",
    "azure_openai": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "aws_bedrock": "aws",
    "cohere_chat": "cohere",
    "fireworks-ai": "fireworks",
    "fireworks_ai": "fireworks",
    "fireworksai": "fireworks",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex.agent": "google",
    "gcp.vertex_ai": "google",
    "gemini": "google",
    "github_copilot": "github-copilot",
    "google_genai": "google",
    "google_vertexai": "google",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "moonshot": "moonshotai",
    "moonshot_ai": "moonshotai",
    "together-ai": "together",
    "together_ai": "together",
    "togetherai": "together",
    "vertex_ai": "google",
    "vertex_ai_beta": "google",
    "voyage": "voyageai",
    "x_ai": "x-ai",
    "xai": "x-ai",
    "z.ai": "zai",
}
"""Providers by other names than the tables' own."""

OWN_MACHINES = frozenset(
    {
        "hosted_vllm",
        "llama-cpp",
        "llama.cpp",
        "llama_cpp",
        "llamacpp",
        "llamafile",
        "lm_studio",
        "lmstudio",
        "localai",
        "ollama",
        "ollama_chat",
        "sglang",
        "tgi",
        "vllm",
        "xinference",
    }
)
"""Servers that people run themselves: what a call costs there, no published table knows, whatever the model's name."""

PROTOCOLS = frozenset({"openai", "anthropic"})
"""Providers whose wire format others speak too: a model they do not sell is looked for by its name alone."""

_BEDROCK = re.compile(
    r"(?:[a-z-]+\.)?(?:ai21|amazon|anthropic|cohere|deepseek|meta|mistral|openai|qwen|writer)\.[a-z]|arn:aws"
)
_OPENAI = re.compile(r"ft:|text-embedding-(?:3|ada)")
_CLAUDE = re.compile(r"claude-.*\d{8}")
_RESOURCE = re.compile(r"(?:.*/)?(?:models|tunedmodels)/")
"""How Google's interfaces name a model: `models/…`, `publishers/google/models/…`, `projects/…/models/…`."""

_VARIANT = re.compile(r"\[\w+\]$")
"""What Claude Code puts behind a model's name for its longer context: `[1m]`."""

Spelling = tuple[str, str]
"""(provider, model); an empty provider stands for whoever sells a model of that name."""


def is_own_machine(provider: str, model: str) -> bool:
    """Whether the call went to a server that people run themselves."""
    return provider.lower() in OWN_MACHINES or model.lower().partition("/")[0] in OWN_MACHINES


def provider_names(provider: str) -> tuple[str, ...]:
    """The names a provider may go by in the tables, the likeliest first: `azure.ai.openai`, `openai.responses`, `xai.chat`."""
    name = provider.strip().lower()
    head = name.partition(".")[0]
    return tuple(dict.fromkeys(n for n in (ALIASES.get(name, name), ALIASES.get(head, head)) if n))


def spellings(provider: str, known: frozenset[str], model: str) -> Iterator[Spelling]:
    """Where to look a call up, the likeliest first.

    Args:
        provider: of the tables, or empty where the sender's word for it is none of theirs, such as a framework's name.
        known: every provider of the tables.
        model: as it was sent.
    """
    name = _VARIANT.sub("", model.strip().lower())
    if provider:
        yield provider, name
        if provider == "google" and (plain := _RESOURCE.sub("", name)) != name:
            yield provider, plain
        if provider == "aws" and _CLAUDE.match(name):
            yield provider, f"anthropic.{name}"
    prefix, _, rest = name.partition("/")
    named = ALIASES.get(prefix, prefix)
    if rest and named in known and (not provider or provider == named or provider in PROTOCOLS):
        yield from spellings(named, known, rest)
    if not provider or provider in PROTOCOLS:
        if _BEDROCK.match(name):
            yield "aws", name
        if _OPENAI.match(name):
            yield "openai", name
        if (plain := _RESOURCE.sub("", name)) != name:
            yield "google", plain
        yield "", name
