"""What follows from somebody pinning the contract of a tool: a lesson that learning does not overrule, until it is unpinned."""

from __future__ import annotations

from watchpost.detect.contract_learning import KIND, ContractLearner
from watchpost.detect.contract_schema import ContractError, contract_of_text
from watchpost.detect.known import KnowledgeBase
from watchpost.model.fact import Pin
from watchpost.model.knowledge import Contract, Lesson, Source


def apply(pin: Pin, base: KnowledgeBase) -> bool:
    """Let what was pinned hold from now on; false where there is nothing that could: no such version or candidate, or no contract."""
    if pin.version or pin.contract or pin.candidate:
        contract = _contract(pin, base)
        return contract is not None and _publish(pin, base, "pinned", contract)
    learner = base.learner(pin.project, KIND)
    content = learner.content(pin.tool, None) if learner is not None else None
    return _publish(pin, base, "learnt", content if isinstance(content, Contract) else None)


def _contract(pin: Pin, base: KnowledgeBase) -> Contract | None:
    if pin.version:
        lesson = base.at(pin.project, min(pin.version, base.version(pin.project))).lesson(KIND, pin.tool)
        if lesson is None or lesson.version != pin.version:
            return None
        return lesson.content if isinstance(lesson.content, Contract) else None
    if pin.contract:
        try:
            return contract_of_text(pin.contract)
        except ContractError:
            return None
    learner = base.learner(pin.project, KIND)
    if not isinstance(learner, ContractLearner):
        return None
    contract = learner.adopt(pin.tool, pin.candidate)
    if contract is not None:
        base.touch(pin.project, KIND, pin.tool)
    return contract


def _publish(pin: Pin, base: KnowledgeBase, source: Source, contract: Contract | None) -> bool:
    held = base.at(pin.project, base.version(pin.project)).lesson(KIND, pin.tool)
    lesson = Lesson(pin.project, KIND, pin.tool, 0, source, contract, pin.at_ns, pin.by, pin.note)
    if held is None and contract is None:
        return False
    if held is not None and (held.source, held.content) == (source, contract):
        return True
    base.publish(lesson)
    return True
