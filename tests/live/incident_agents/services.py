"""What the agents of the demo's incidents can do, and what the services behind it answer. Every answer is HTTP 200."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

Tool = Callable[..., str]  # type: ignore[explicit-any]  # a tool takes what its own signature says

_INCOME_FIELD = os.environ.get("INCOME_FIELD", "annual_income")
_TIMES = iter(range(100))


def get_applicant(application_id: str) -> str:
    """Read who applied, and for what.

    Args:
        application_id: The number of the application.
    """
    applicant = {"application_id": application_id, "name": "Noor Haddad", "amount": 12000, "term_months": 36}
    return json.dumps({"status": "ok", "applicant": applicant})


def get_income(application_id: str) -> str:
    """Read the income that the employer confirmed.

    Args:
        application_id: The number of the application.
    """
    income = {_INCOME_FIELD: 54000, "currency": "EUR", "confirmed": True}
    return json.dumps({"status": "ok", "application_id": application_id, "income": income})


def decide(application_id: str, decision: str, reason: str) -> str:
    """Decide an application.

    Args:
        application_id: The number of the application.
        decision: approve or reject.
        reason: Why, in a sentence.
    """
    return json.dumps({"status": "ok", "application_id": application_id, "decision": decision, "reason": reason})


def get_order(order_id: str) -> str:
    """Find an order.

    Args:
        order_id: The number of the order.
    """
    order = {"order_id": order_id, "refund": "pending", "checked_at": f"08:{next(_TIMES):02d}:07"}
    return json.dumps(order)


def find_customer(email: str) -> str:
    """Find a customer with all orders.

    Args:
        email: The customer's address.
    """
    orders = [{"order_id": "ORD-204187", "placed": "2026-10-02"}, {"order_id": "ORD-198340", "placed": "2026-07-19"}]
    return json.dumps({"customer_id": "CUS-30042", "email": email, "orders": orders})


def read_order(order_id: str) -> str:
    """Read an order.

    Args:
        order_id: The number of the order.
    """
    ship_to = "Jonas Berg, Hafenstr. 9, Kiel"
    return json.dumps({"order_id": order_id, "customer_id": "CUS-71177", "status": "shipped", "ship_to": ship_to})


def search_papers(query: str) -> str:
    """Search the literature.

    Args:
        query: What to look for.
    """
    found = [f"{query}: finding {place}" for place in range(1, 4)]
    return json.dumps({"query": query, "results": found, "more": True})
