"""The catalogue: every quantity that Watchpost speaks of, once, tier by tier."""

from __future__ import annotations

from collections.abc import Mapping

from watchpost.query.catalogue.infrastructure import INFRASTRUCTURE
from watchpost.query.catalogue.llm import LLM
from watchpost.query.catalogue.own import OWN
from watchpost.query.catalogue.quality import QUALITY
from watchpost.query.measures import Measure

MEASURES: Mapping[str, Measure] = {measure.name: measure for measure in (*INFRASTRUCTURE, *LLM, *QUALITY, *OWN)}
"""All of them, by name."""
