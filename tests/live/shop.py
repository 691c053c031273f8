"""What the agents of the tests can do. Order R-404 is one that the shop's database fails on."""

from __future__ import annotations

from collections.abc import Callable

MISSING = "R-404"

Tool = Callable[..., str]  # type: ignore[explicit-any]  # a tool takes what its own signature says


class OrderServiceError(RuntimeError):
    """The order database does not answer."""


def lookup_customer(email: str) -> str:
    """Find a customer.

    Args:
        email: The customer's address.
    """
    return f'{{"customer_id": "C-42", "email": "{email}"}}'


def get_order(order_id: str) -> str:
    """Find an order.

    Args:
        order_id: The number of the order.
    """
    if order_id == MISSING:
        raise OrderServiceError("the order database does not answer")
    return f'{{"order_id": "{order_id}", "refund": "pending"}}'


def issue_refund(order_id: str, amount: float) -> str:
    """Pay an order back.

    Args:
        order_id: The number of the order.
        amount: How much to pay back, in euros.
    """
    return f'{{"order_id": "{order_id}", "refunded": {amount}}}'


TOOLS: list[Tool] = [lookup_customer, get_order, issue_refund]
