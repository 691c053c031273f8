"""Every detector there is: its section of the settings, and how a session gets one. A new detector is a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from watchpost.detect import attendance, corrected, escalated
from watchpost.detect.abandoned import AbandonedSettings
from watchpost.detect.budget import BudgetDetector, BudgetSettings
from watchpost.detect.context_drift import ContextDriftDetector, ContextDriftSettings
from watchpost.detect.contract_learning import ContractLearner
from watchpost.detect.contract_schema import ContractError, declared_contracts
from watchpost.detect.corrected import CorrectedDetector, CorrectedSettings
from watchpost.detect.detector import Make
from watchpost.detect.empty_result import EmptyResultDetector, EmptyResultSettings
from watchpost.detect.escalated import EscalatedDetector, EscalatedSettings
from watchpost.detect.hallucination import HallucinationDetector, HallucinationSettings
from watchpost.detect.id_formats import IdFormatLearner
from watchpost.detect.injection import InjectionDetector, InjectionSettings
from watchpost.detect.invalid_output import InvalidOutputDetector, InvalidOutputSettings
from watchpost.detect.known import LearnerFactories
from watchpost.detect.latency import LatencyDetector, LatencySettings
from watchpost.detect.loop import LoopDetector, LoopSettings
from watchpost.detect.norms import NormLearner
from watchpost.detect.ping_pong import PingPongDetector, PingPongSettings
from watchpost.detect.refusal import RefusalDetector, RefusalSettings, Wording
from watchpost.detect.rephrased import RephrasedDetector, RephrasedSettings
from watchpost.detect.retry_storm import RetryStormDetector, RetryStormSettings
from watchpost.detect.run_time import RunTimeSettings
from watchpost.detect.schema_drift import SchemaDriftDetector, SchemaDriftSettings, guards
from watchpost.detect.stale_data import StaleDataDetector, StaleDataSettings
from watchpost.detect.unknown_tool import UnknownToolDetector, UnknownToolSettings
from watchpost.model.knowledge import Contract

S = TypeVar("S", bound=msgspec.Struct)


class DetectorSettingsError(ValueError):
    """Settings of a detector that cannot be used. The message names the section, and the field where one is at fault."""


class Row(msgspec.Struct, frozen=True):
    """One detector: its section, the struct that its settings are, and what is made of them; None where they switch it off."""

    section: str
    settings: type[msgspec.Struct]
    make: Callable[[Mapping[str, object]], Make | None]


def _row(section: str, settings: type[S], make: Callable[[S], Make | None]) -> Row:
    def made(given: Mapping[str, object]) -> Make | None:
        return make(_settings(section, settings, given))

    return Row(section, settings, made)


def _settings(section: str, settings: type[S], given: Mapping[str, object]) -> S:
    """The settings of a section; raises `DetectorSettingsError`."""
    for name in given.keys() - set(settings.__struct_fields__):
        raise DetectorSettingsError(f"{section}: there is no setting {name!r}")
    try:
        return msgspec.convert(given, settings, strict=False)
    except ValueError as error:
        raise DetectorSettingsError(f"{section}: {error}") from error


def _context_drift(chosen: ContextDriftSettings) -> Make | None:
    return Make(lambda _: ContextDriftDetector(chosen)) if chosen.method else None


def _budget(chosen: BudgetSettings) -> Make | None:
    is_on = any(each.tokens or each.cost_usd for each in chosen.limits)
    return Make(lambda around: BudgetDetector(chosen, around), by_workflow=True) if is_on else None


def _retry_storm(chosen: RetryStormSettings) -> Make | None:
    return Make(lambda _: RetryStormDetector(chosen)) if chosen.failures else None


def _ping_pong(chosen: PingPongSettings) -> Make | None:
    return Make(lambda _: PingPongDetector(chosen)) if chosen.rounds else None


def _stale_data(chosen: StaleDataSettings) -> Make | None:
    return Make(lambda _: StaleDataDetector(chosen)) if chosen.max_age else None


def _invalid_output(chosen: InvalidOutputSettings) -> Make | None:
    if not chosen.enabled:
        return None
    return Make(lambda around: InvalidOutputDetector(chosen, around), by_workflow=bool(chosen.json))


def _refusal(chosen: RefusalSettings) -> Make | None:
    wording = Wording(chosen)
    return Make(lambda _: RefusalDetector(wording)) if chosen.enabled else None


def _empty_result(chosen: EmptyResultSettings) -> Make | None:
    is_on = chosen.repeats or chosen.rare
    return Make(lambda around: EmptyResultDetector(chosen, around)) if is_on else None


def _unknown_tool(chosen: UnknownToolSettings) -> Make | None:
    return Make(lambda around: UnknownToolDetector(chosen, around)) if chosen.enabled else None


def _latency(chosen: LatencySettings) -> Make | None:
    return Make(lambda around: LatencyDetector(chosen, around)) if chosen.times else None


def _hallucination(chosen: HallucinationSettings) -> Make | None:
    return Make(lambda around: HallucinationDetector(chosen, around)) if chosen.enabled else None


def _schema_drift(chosen: SchemaDriftSettings) -> Make | None:
    contracts, guard_of = _declared(chosen), guards()
    if not chosen.enabled:
        return None
    return Make(lambda around: SchemaDriftDetector(chosen, around, contracts.get, guard_of))


def _declared(chosen: SchemaDriftSettings) -> dict[str, Contract]:
    try:
        return declared_contracts(chosen.contracts, chosen.mcp_tools)
    except ContractError as error:
        raise DetectorSettingsError(f"schema_drift: {error}") from error


def _injection(chosen: InjectionSettings) -> Make | None:
    return Make(lambda _: InjectionDetector(chosen)) if chosen.enabled else None


def _rephrased(chosen: RephrasedSettings) -> Make | None:
    return Make(lambda _: RephrasedDetector(chosen)) if chosen.alike else None


def _corrected(chosen: CorrectedSettings) -> Make | None:
    wording = corrected.phrases(chosen)
    return Make(lambda _: CorrectedDetector(chosen, wording)) if chosen.enabled else None


def _escalated(chosen: EscalatedSettings) -> Make | None:
    wording = escalated.phrases(chosen)
    return Make(lambda _: EscalatedDetector(chosen, wording)) if chosen.enabled else None


CATALOGUE: tuple[Row, ...] = (
    _row("loop", LoopSettings, lambda chosen: Make(lambda _: LoopDetector(chosen))),
    _row("hallucination", HallucinationSettings, _hallucination),
    _row("context_drift", ContextDriftSettings, _context_drift),
    _row("budget", BudgetSettings, _budget),
    _row("retry_storm", RetryStormSettings, _retry_storm),
    _row("ping_pong", PingPongSettings, _ping_pong),
    _row("stale_data", StaleDataSettings, _stale_data),
    _row("invalid_output", InvalidOutputSettings, _invalid_output),
    _row("refusal", RefusalSettings, _refusal),
    _row("empty_result", EmptyResultSettings, _empty_result),
    _row("unknown_tool", UnknownToolSettings, _unknown_tool),
    _row("latency", LatencySettings, _latency),
    _row("schema_drift", SchemaDriftSettings, _schema_drift),
    _row("injection", InjectionSettings, _injection),
    _row("rephrased", RephrasedSettings, _rephrased),
    _row("corrected", CorrectedSettings, _corrected),
    _row("escalated", EscalatedSettings, _escalated),
)

LEARNERS: LearnerFactories = {
    attendance.KIND: attendance.Attendance,
    "contract": ContractLearner,
    "id_format": IdFormatLearner,
    "norm": NormLearner,
}
"""Every kind of knowledge, and how a project gets what learns it."""


def makes(sections: Mapping[str, Mapping[str, object]]) -> tuple[Make, ...]:
    """All detectors that the settings leave on; a section that is not there is left at its defaults. Raises `DetectorSettingsError`."""
    made = (row.make(sections.get(row.section, {})) for row in CATALOGUE)
    return tuple(make for make in made if make is not None)


def learners(sections: Mapping[str, Mapping[str, object]]) -> LearnerFactories:
    """`LEARNERS` as the settings want them. Raises `DetectorSettingsError`."""
    enough = _settings("schema_drift", SchemaDriftSettings, sections.get("schema_drift", {})).enough
    return {**LEARNERS, "contract": lambda: ContractLearner(enough)}


def declared(sections: Mapping[str, Mapping[str, object]]) -> dict[str, Contract]:
    """The contracts that the settings declare, by tool. Raises `DetectorSettingsError`."""
    return _declared(_settings("schema_drift", SchemaDriftSettings, sections.get("schema_drift", {})))


def context_drift(section: Mapping[str, object]) -> ContextDriftSettings:
    """When and how to measure whether sessions are still about their task. Raises `DetectorSettingsError`."""
    return _settings("context_drift", ContextDriftSettings, section)


def abandoned(section: Mapping[str, object]) -> AbandonedSettings:
    """Which ended sessions people left. It is no fold over steps, and so no row. Raises `DetectorSettingsError`."""
    return _settings("abandoned", AbandonedSettings, section)


def run_time(section: Mapping[str, object]) -> RunTimeSettings:
    """How long runs may take. It is no fold over steps, and so no row. Raises `DetectorSettingsError`."""
    return _settings("run_time", RunTimeSettings, section)
