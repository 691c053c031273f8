"""The contracts of tools: what is known of their responses, what was, what might be, and which is pinned; for API and CLI alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
from starlette.concurrency import run_in_threadpool

from watchpost.detect.contract_diff import Difference, differences
from watchpost.detect.contract_learning import KIND, Candidate, read_candidates
from watchpost.detect.contract_schema import ContractError, contract_of_text
from watchpost.model.fact import Pin
from watchpost.model.knowledge import Contract, Lesson, Source
from watchpost.server.answers import moment
from watchpost.server.problem import NotFoundError, ParameterError
from watchpost.server.review import BY_LENGTH, NOTE_LENGTH, WAIT_S, Notebook
from watchpost.server.words import line, note
from watchpost.store.state import KnowledgeSource


class ContractEntry(msgspec.Struct, frozen=True):
    """The contract that holds for a tool; of a tool that has only `candidates`, `source` is empty. What settings declare holds in every project."""

    project: str
    tool: str
    source: Source | str
    version: int
    at: str | None
    fields: int
    variants: int
    responses: int
    sessions: int
    candidates: int


class ContractsAnswer(msgspec.Struct, frozen=True):
    """All tools of which something is known, by project and name."""

    contracts: list[ContractEntry]


class ContractVersion(msgspec.Struct, frozen=True):
    """One contract that was published; `holds` says that there was one from then on.

    `by` and `note` are who said so and why, empty for what was learnt. `differences` are those from the version before, of which the
    earliest has none.
    """

    version: int
    source: Source
    at: str | None
    holds: bool
    by: str
    note: str
    differences: list[Difference]


class CandidateAnswer(msgspec.Struct, frozen=True):
    """A shape seen only in sessions that failed or were flagged: in how many, and the first and the last step that had it."""

    digest: str
    shape: str
    sessions: int
    first_trace_id: str
    first_step_id: str
    last_trace_id: str
    last_step_id: str


class ContractAnswer(msgspec.Struct, frozen=True):
    """A contract of a tool, null where none holds; which versions there were, the latest first; and its candidates, most sessions first.

    `since` names, of each field's path, the version from which on the tool always had it; it is empty where the contract is declared.
    """

    project: str
    tool: str
    source: Source | str
    version: int
    at: str | None
    contract: Contract | None
    since: dict[str, int]
    versions: list[ContractVersion]
    candidates: list[CandidateAnswer]


class PinGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to hold for a tool, just one of them: a published `version`, the `candidate` of a digest, a `schema`, or `unpin` to learn again.

    A `schema` is a JSON Schema, or a contract as this API shows it. `by` and `note` are who says so and why.
    """

    version: int = 0
    candidate: str = ""
    schema: dict[str, object] | None = None
    unpin: bool = False
    by: str = ""
    note: str = ""


class Contracts:
    """Its methods read the store and block, but for `give`; call them from a worker thread."""

    def __init__(
        self,
        known: KnowledgeSource,
        notes: Notebook,
        now_ns: Callable[[], int],
        declared: Mapping[str, Contract],
    ) -> None:
        self._known = known
        self._notes = notes
        self._now_ns = now_ns
        self._declared = declared

    def every(self, project: str = "") -> ContractsAnswer:
        """The tools of a project; an empty `project` is every project."""
        lessons, candidates = self._lessons(project), self._candidates(project)
        tools = sorted({*lessons, *candidates})
        found = [_entry(*tool, None, contract, []) for tool, contract in self._everywhere()]
        for tool in tools:
            if tool[1] not in self._declared:
                held = lessons.get(tool, [])
                lesson = held[-1] if held and held[-1].content is not None else None
                contract = lesson.content if lesson is not None and isinstance(lesson.content, Contract) else None
                found.append(_entry(*tool, lesson, contract, candidates.get(tool, [])))
        return ContractsAnswer(found)

    def one(self, tool: str, project: str = "", version: int = 0) -> ContractAnswer:
        """The contract of a tool that holds now, or of a version. Raises `NotFoundError`, and `ParameterError` where several projects have the tool."""
        lessons, candidates = self._lessons(project), self._candidates(project)
        projects = sorted({owner for owner, name in (*lessons, *candidates) if name == tool})
        if len(projects) > 1:
            raise ParameterError("project", f"there is a tool {tool} in {', '.join(projects)}")
        if not projects and tool not in self._declared:
            raise NotFoundError(f"nothing is known of a tool {tool}")
        owner = projects[0] if projects else project
        held = lessons.get((owner, tool), [])
        chosen = next((each for each in held[::-1] if version in {0, each.version}), None)
        if version and chosen is None:
            raise NotFoundError(f"{tool} has no contract of version {version}")
        content = chosen.content if chosen is not None else None
        is_declared = not version and tool in self._declared
        lesson = chosen if chosen is not None and content is not None and not is_declared else None
        known = self._declared[tool] if is_declared else content if isinstance(content, Contract) else None
        return ContractAnswer(
            owner,
            tool,
            "declared" if is_declared else "" if lesson is None else lesson.source,
            0 if lesson is None else lesson.version,
            None if lesson is None else moment(lesson.at_ns),
            known,
            {} if lesson is None else _since([each for each in held if each.version <= lesson.version]),
            _versions(held),
            [_candidate(each) for each in sorted(candidates.get((owner, tool), []), key=lambda each: -each.sessions)],
        )

    def holding(self) -> dict[tuple[str, str], Contract]:
        """The contracts that hold, by project and tool; what is declared holds in the project of no name."""
        held = {
            tool: lessons[-1].content
            for tool, lessons in self._lessons("").items()
            if isinstance(lessons[-1].content, Contract) and tool[1] not in self._declared
        }
        return {**dict(self._everywhere()), **held}

    def pin(self, tool: str, project: str, given: PinGiven) -> Pin:
        """What is to be noted of a pin; raises as `one` does, and `ParameterError` for what cannot hold."""
        if sum((given.version != 0, given.candidate != "", given.schema is not None, given.unpin)) != 1:
            raise ParameterError("pin", "is one of version, candidate, schema and unpin")
        by, why = line("by", given.by, BY_LENGTH), note("note", given.note, NOTE_LENGTH)
        if tool in self._declared:
            raise ParameterError("tool", f"the contract of {tool} is declared in the settings, which hold")
        if given.schema is not None:
            return Pin(
                self._project(tool, project), tool, by, self._now_ns(), contract=_checked(given.schema), note=why
            )
        held = self.one(tool, project)
        if given.version and not any(each.version == given.version and each.holds for each in held.versions):
            raise ParameterError("version", f"{tool} has no contract of version {given.version}")
        if given.candidate and not any(each.digest == given.candidate for each in held.candidates):
            raise ParameterError(
                "candidate", f"{tool} has no candidate {given.candidate}; it has one once its session has ended"
            )
        return Pin(held.project, tool, by, self._now_ns(), given.version, "", given.candidate, why)

    async def give(self, tool: str, project: str, given: PinGiven) -> tuple[ContractAnswer, bool]:
        """Pin: the contract, and whether it holds already. Raises as `pin` and `Notebook.note` do."""
        pin = await run_in_threadpool(self.pin, tool, project, given)
        seq = await self._notes.note((pin,))
        holds = await self._notes.settled(seq, WAIT_S)
        try:
            return await run_in_threadpool(self.one, tool, pin.project), holds
        except NotFoundError:
            return ContractAnswer(pin.project, tool, "", 0, None, None, {}, [], []), False

    def _project(self, tool: str, project: str) -> str:
        """The project that a contract is given for: of a tool of which nothing is known, the one that is named."""
        try:
            return self.one(tool, project).project
        except NotFoundError:
            return project or "default"

    def _everywhere(self) -> list[tuple[tuple[str, str], Contract]]:
        return [(("", tool), contract) for tool, contract in sorted(self._declared.items())]

    def _lessons(self, project: str) -> dict[tuple[str, str], list[Lesson]]:
        found: dict[tuple[str, str], list[Lesson]] = {}
        for lesson in self._known.lessons(project):
            if lesson.kind == KIND:
                found.setdefault((lesson.project, lesson.name), []).append(lesson)
        return found

    def _candidates(self, project: str) -> dict[tuple[str, str], list[Candidate]]:
        drafts = (draft for draft in self._known.drafts(project) if draft.kind == KIND)
        read = {(draft.project, draft.name): read_candidates(draft.body) for draft in drafts}
        return {tool: candidates for tool, candidates in read.items() if candidates}


def _versions(held: Sequence[Lesson]) -> list[ContractVersion]:
    """What was published of a tool, the latest first."""
    found: list[ContractVersion] = []
    before = Contract({})
    for number, each in enumerate(held):
        content = each.content if isinstance(each.content, Contract) else Contract({})
        changed = differences(before, content) if number else []
        at, holds = moment(each.at_ns), each.content is not None
        found.append(ContractVersion(each.version, each.source, at, holds, each.by, each.note, changed))
        before = content
    return found[::-1]


def _since(held: Sequence[Lesson]) -> dict[str, int]:
    """Of each path in the last of these contracts, the version from which on all have it."""
    since: dict[str, int] = {}
    for each in held:
        content = each.content if isinstance(each.content, Contract) else Contract({})
        paths = {path for fields in (content.fields, *content.variants) for path in fields}
        since = {path: since.get(path, each.version) for path in sorted(paths)}
    return since


def _checked(schema: Mapping[str, object]) -> str:
    """A schema as text that can be pinned."""
    text = msgspec.json.encode(schema).decode()
    try:
        contract_of_text(text)
    except ContractError as error:
        raise ParameterError("schema", str(error)) from error
    return text


def _entry(
    project: str, tool: str, lesson: Lesson | None, contract: Contract | None, candidates: list[Candidate]
) -> ContractEntry:
    return ContractEntry(
        project,
        tool,
        lesson.source if lesson is not None else "" if contract is None else "declared",
        0 if lesson is None else lesson.version,
        None if lesson is None else moment(lesson.at_ns),
        0 if contract is None else len(contract.fields),
        0 if contract is None else len(contract.variants),
        0 if contract is None else contract.responses,
        0 if contract is None else contract.sessions,
        len(candidates),
    )


def _candidate(candidate: Candidate) -> CandidateAnswer:
    first, last = candidate.first.partition(":"), candidate.last.partition(":")
    return CandidateAnswer(candidate.digest, candidate.shape, candidate.sessions, first[0], first[2], last[0], last[2])
