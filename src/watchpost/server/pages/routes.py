"""Every page's routes."""

from __future__ import annotations

from fastapi import APIRouter

from watchpost.server import alert_pages
from watchpost.server.archive import Archive
from watchpost.server.pages import flags, logs, overview, session, sessions, step
from watchpost.server.review import Review
from watchpost.server.search import Search
from watchpost.server.services import Alerting, Figures, Words


def routers(
    archive: Archive, search: Search, review: Review, figures: Figures, alerting: Alerting, words: Words
) -> tuple[APIRouter, ...]:
    """The routes of all pages."""
    glance = figures.glance(words.now_ns)
    return (
        overview.router(
            overview.Overview(glance, alerting.alerts, archive, review, words.releases, words.now_ns)
        ),
        sessions.router(search),
        session.router(archive),
        step.router(archive),
        flags.router(review),
        logs.router(search),
        alert_pages.router(alerting.alerts, words.now_ns),
    )
