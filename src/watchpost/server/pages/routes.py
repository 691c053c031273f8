"""Every page's routes."""

from __future__ import annotations

from fastapi import APIRouter

from watchpost.server.archive import Archive
from watchpost.server.cohorts import Cohorts
from watchpost.server.health_report import HealthReport
from watchpost.server.pages import (
    alerts,
    costs,
    flags,
    health,
    logs,
    measures,
    overview,
    rules,
    session,
    sessions,
    settings,
    step,
    tools,
)
from watchpost.server.review import Review
from watchpost.server.search import Search
from watchpost.server.services import Alerting, Figures, Setup, Words
from watchpost.server.tools import Tools


def routers(  # noqa: PLR0917 - all that pages are made from
    archive: Archive,
    search: Search,
    review: Review,
    cohorts: Cohorts,
    figures: Figures,
    alerting: Alerting,
    words: Words,
    kit: Tools,
    report: HealthReport,
    setup: Setup,
) -> tuple[APIRouter, ...]:
    """The routes of all pages."""
    glance = figures.glance(words.now_ns)
    return (
        overview.router(overview.Overview(glance, alerting.alerts, archive, review, words.releases, words.now_ns)),
        costs.router(glance),
        sessions.router(search, cohorts, words.now_ns),
        session.router(archive),
        step.router(archive),
        flags.router(review, words.now_ns),
        logs.router(search, words.now_ns),
        tools.router(kit, words.contracts, figures.measures, review, figures.executor, words.now_ns),
        measures.router(figures.measures, words.releases, archive, words.now_ns),
        alerts.router(
            alerts.Desk(alerting.alerts, alerting.notices, alerting.rules, figures.measures, archive, words.now_ns)
        ),
        rules.router(
            rules.Shelf(
                alerting.alerts,
                alerting.rules,
                alerting.rule_reviews,
                alerting.backtests,
                figures.measures,
                glance,
                words.now_ns,
            )
        ),
        health.router(health.Ward(report, figures.measures, figures.readiness, glance, figures.executor, words.now_ns)),
        settings.router(
            settings.Cupboard(setup.settings, setup.tree, setup.trials, figures.unpriced, report, words.now_ns)
        ),
    )
