"""The metric points of a delivery as the store keeps them."""

from __future__ import annotations

from watchpost.model.telemetry import Delivery, point_ids
from watchpost.store.contracts import StoredMetric


def metric_rows(delivery: Delivery) -> list[StoredMetric]:
    """One row for each point, the same whenever the delivery is read again."""
    return [
        StoredMetric(identity, parcel.project, delivery.received_ns, parcel.resource, parcel.scope, point)
        for parcel in delivery.parcels
        if parcel.metrics
        for identity, point in zip(point_ids(parcel), parcel.metrics, strict=True)
    ]
