"""All that is known in every project: published lessons, and the drafts that the next ones are made from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from weakref import WeakValueDictionary

import msgspec

from watchpost.detect.contract_learning import ContractLearner
from watchpost.detect.learner import Ended, Learner
from watchpost.model.knowledge import NOTHING_KNOWN, Draft, Knowledge, Lesson, Lessons

LearnerFactories = Mapping[str, Callable[[], Learner]]
"""How a project gets the learner of each kind of knowledge."""


class _Project:
    def __init__(self, factories: LearnerFactories) -> None:
        self.learners = {kind: make() for kind, make in factories.items()}
        self.lessons = Lessons()
        self.views: WeakValueDictionary[int, Knowledge] = WeakValueDictionary()


class KnowledgeBase:
    """Grows by sessions that ended, and by what people pin. A lesson that a person pinned or declared is not overruled by learning."""

    def __init__(
        self, factories: LearnerFactories, lessons: Iterable[Lesson] = (), drafts: Iterable[Draft] = ()
    ) -> None:
        """Go on from all lessons and drafts so far."""
        self._factories = factories
        self._projects: dict[str, _Project] = {}
        self._new: list[Lesson] = []
        self._changed: dict[tuple[str, str, str], None] = {}
        for lesson in sorted(lessons, key=lambda each: each.version):
            self._project(lesson.project).lessons.add(lesson)
        for draft in drafts:
            if (learner := self._project(draft.project).learners.get(draft.kind)) is not None:
                learner.load(draft.name, draft.body)

    def version(self, project: str) -> int:
        """That of all that is known in a project now."""
        known = self._projects.get(project)
        return known.lessons.version if known is not None else 0

    def at(self, project: str, version: int) -> Knowledge:
        """What was known in a project at a version; one value for all who hold it."""
        if not version:
            return NOTHING_KNOWN
        held = self._project(project)
        view = held.views.get(version)
        if view is None:
            view = held.views[version] = Knowledge(version, held.lessons)
        return view

    def learn(self, project: str, session: Ended, at_ns: int) -> None:
        """Take in a session that ended, once, and publish what follows from it."""
        for kind, learner in self._project(project).learners.items():
            for name in learner.learn(session):
                self._changed[project, kind, name] = None
                lesson = self.at(project, self.version(project)).lesson(kind, name)
                if lesson is not None and lesson.source != "learnt":
                    continue
                held = None if lesson is None else lesson.content
                content = learner.content(name, held)
                if content is not held and content != held:
                    self._publish(Lesson(project, kind, name, 0, "learnt", content, at_ns))

    def publish(self, lesson: Lesson) -> None:
        """Let a lesson hold from now on, whatever its `version` says."""
        self._publish(lesson)

    def learner(self, project: str, kind: str) -> Learner | None:
        """Who learns a kind of knowledge in a project."""
        return self._project(project).learners.get(kind)

    def unname(self, project: str, trace_ids: Collection[str]) -> None:
        """Let no draft of a project name these traces, whose ids are hexadecimal, as those that showed a candidate."""
        for kind, learner in self._project(project).learners.items():
            if isinstance(learner, ContractLearner):
                for name in learner.unname(trace_ids):
                    self.touch(project, kind, name)

    def touch(self, project: str, kind: str, name: str) -> None:
        """A draft was changed from outside."""
        self._changed[project, kind, name] = None

    def news(self) -> tuple[list[Lesson], list[Draft]]:
        """The lessons that were published and the drafts that changed since this was last asked."""
        lessons, self._new = self._new, []
        drafts = [
            Draft(project, kind, name, self._project(project).learners[kind].draft(name))
            for project, kind, name in self._changed
        ]
        self._changed = {}
        return lessons, drafts

    def _project(self, project: str) -> _Project:
        held = self._projects.get(project)
        if held is None:
            held = self._projects[project] = _Project(self._factories)
        return held

    def _publish(self, lesson: Lesson) -> None:
        held = self._project(lesson.project)
        numbered = msgspec.structs.replace(lesson, version=self.version(lesson.project) + 1)
        held.lessons.add(numbered)
        self._new.append(numbered)
