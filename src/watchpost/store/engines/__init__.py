"""Engines behind the contracts of the store: ClickHouse for telemetry, SQL for state. Private to the store and to runtime."""
