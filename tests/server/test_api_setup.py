"""Rules one by one, where alerts go, what is set, and channels tried out: as the API answers them and pages show them."""

from __future__ import annotations

import re

import msgspec
import pytest
from server_fakes import START_NS, House
from test_pages import HOSTILE, Marks

from watchpost.alerting.notifier import Answer, Failed, Sent
from watchpost.alerting.route_file import read_routing
from watchpost.model.notice import Notice
from watchpost.rules.pack import shipped
from watchpost.runtime.settings_shown import SettingsShown, ShownChannel, ShownSetting
from watchpost.server.channel_trials import ChannelTrials, TrialAnswer
from watchpost.server.route_tree import RoutesAnswer, RouteTree
from watchpost.server.rule_book import RuleDetail
from watchpost.server.rule_figure import figure_of
from watchpost.server.services import Setup

ROUTES = """
route:
  channels: [ops]
  routes:
    - {match: 'severity="critical"', channels: [ops], page: [boss], escalate_after: 15m, escalate_to: [chief]}
    - {match: 'tool=~"refund.*"', channels: [shop], continue: true}
    - {match: 'team="none"', channels: []}
"""


class Far:
    """A notifier that answers what the test says, in turn."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.told: list[Notice] = []

    async def send(self, notice: Notice, handle: str = "") -> Answer:
        del handle
        self.told.append(notice)
        return self._answers.pop(0)


def setup_of(**channels: Far) -> Setup:
    settings = [
        ShownSetting("latency.times", "2", "file", secret=False),
        ShownSetting("context_drift.key", "set", "environment", secret=True),
        ShownSetting("redaction.fields", HOSTILE, "default", secret=False),
    ]
    shown = [ShownChannel(name, "webhook", []) for name in channels]
    tree = RouteTree(read_routing(ROUTES, ["ops", "boss", "chief", "shop"]))
    return Setup(SettingsShown("watchpost.toml", True, settings, shown), tree, ChannelTrials(channels, lambda: START_NS))  # fmt: skip  # noqa: FBT003  the file is there


def test_a_rule_is_told_in_words_and_as_its_file_says_it() -> None:
    house = House()
    found = msgspec.json.decode(house.get("/api/rules/AgentToolHighFailureRate").content, type=RuleDetail)
    assert found.rule.condition.startswith("above 10 %")
    assert found.text.startswith("name: AgentToolHighFailureRate\nmeasure: tool_error_rate\n")
    assert (found.file, found.unit) == ("shipped.yaml", "share")
    assert found.looks_at_measure is not None
    assert (found.looks_at_measure.measure, found.looks_at_measure.threshold) == ("tool_error_rate", 0.1)
    assert ("by", "tool") in found.looks_at_measure.parameters
    assert house.get("/api/rules/Nothing").status_code == 404
    assert house.get("/rules/Nothing").status_code == 404
    assert house.get("/api/rules/review").status_code == 200


def test_every_shipped_rule_has_a_page_and_its_measure_can_be_asked_as_it_says() -> None:
    house = House()
    for rule in shipped().rules:
        answer = house.get(f"/api/rules/{rule.name}")
        looked_at = msgspec.json.decode(answer.content, type=RuleDetail).looks_at_measure
        if looked_at is not None:
            query = "&".join(f"{name}={value}" for name, value in looked_at.parameters)
            assert house.get(f"/api/measures/{looked_at.measure}?{query}").status_code == 200, rule.name
    assert house.get("/rules/AgentToolHighFailureRate").status_code == 200
    assert house.get("/rules/AgentWorkflowStuck").status_code == 200
    page = Marks(house.get("/rules").text)
    assert all(f"/rules/{rule.name}" in page.links for rule in shipped().rules)


def test_the_figure_of_one_group_is_asked_by_its_labels_alone() -> None:
    rules = {rule.name: rule for rule in shipped().rules}
    labels = {"project": "p", "tool": "refund", "severity": "high", "alertname": "x"}
    figure = figure_of(rules["AgentToolHighFailureRate"], labels)
    assert figure is not None
    assert figure.parameters == (("tool", "refund"), ("project", "p"))
    of_flags = figure_of(rules["AgentLooping"], labels)
    assert of_flags is not None
    assert of_flags.measure.name == "flags"
    assert of_flags.parameters == (("flag", "LOOP_DETECTED"), ("tool", "refund"), ("project", "p"))
    assert figure_of(rules["AgentWorkflowStuck"], labels) is None


def test_routes_say_who_is_told_of_an_alert_with_given_labels() -> None:
    house = House(setup=setup_of())
    tree = msgspec.json.decode(house.get("/api/routes").content, type=RoutesAnswer)
    assert [route.depth for route in tree.routes] == [0, 1, 1, 1]
    assert (tree.told, tree.later) == ([], [])

    def asked(labels: str) -> tuple[list[str], list[str]]:
        answer = house.ask("GET", "/api/routes?labels=" + labels.replace('"', "%22").replace("=", "%3D"))
        found = msgspec.json.decode(answer.content, type=RoutesAnswer)
        return found.told, found.later

    assert asked('severity="critical"') == (["ops"], ["chief"])
    assert asked('severity="critical",rate="yes"') == (["ops", "boss"], ["chief"])
    assert asked('tool="refund_order"') == (["shop"], [])
    assert asked('team="none"') == ([], [])
    assert asked('a="b"') == (["ops"], [])


@pytest.mark.parametrize("labels", ["severity", "a!%3D%22b%22"])
def test_labels_that_say_nothing_are_refused_by_name(labels: str) -> None:
    answer = House(setup=setup_of()).get(f"/api/routes?labels={labels}")
    assert answer.status_code == 422
    assert "labels" in answer.text


def test_a_channel_is_tried_out_with_an_alert_and_its_end() -> None:
    far = Far(Sent("HTTP 204", "thread-1"), Sent("HTTP 204"))
    house = House(setup=setup_of(ops=far))
    found = msgspec.json.decode(house.post("/api/channels/ops/test").content, type=TrialAnswer)
    assert found.works
    assert [each.action for each in far.told] == ["trigger", "resolve"]
    assert "nothing is wrong" in far.told[0].event.summary
    assert "works" in house.get("/settings").text
    assert house.post("/api/channels/none/test").status_code == 404


def test_a_channel_that_refuses_says_what_it_answered_as_text() -> None:
    house = House(setup=setup_of(ops=Far(Failed(permanent=True, detail=HOSTILE))))
    answer = house.post("/settings/channels/ops/test", content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings#channels")
    page = house.get("/settings").text
    assert "does not work" in page
    assert not {tag for tag, _ in Marks(page).tags} & {"script", "img", "style"}


def test_a_form_of_another_page_cannot_try_a_channel_out() -> None:
    far = Far(Sent("HTTP 204"), Sent("HTTP 204"))
    house = House(setup=setup_of(ops=far))
    for address in ("/settings/channels/ops/test", "/api/channels/ops/test"):
        assert house.post(address, origin="http://evil.example").status_code == 403
    assert far.told == []


def test_settings_are_shown_with_where_they_were_set() -> None:
    house = House(setup=setup_of())
    found = msgspec.json.decode(house.get("/api/settings").content, type=SettingsShown)
    assert [(each.name, each.origin) for each in found.settings][:2] == [
        ("latency.times", "file"),
        ("context_drift.key", "environment"),
    ]
    page = house.get("/settings").text
    assert re.search(r'id="set-latency.times" class="own"', page)
    assert not {tag for tag, _ in Marks(page).tags} & {"script", "img", "style"}
