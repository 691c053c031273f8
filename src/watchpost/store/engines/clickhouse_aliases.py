"""Ids of traces and spans exchanged for others that say nothing and sort alike, so that what is counted by their order comes out the same."""

from __future__ import annotations

import hashlib

import pyarrow as pa

_TRACES = ("steps.trace_id",)
_SPANS = ("steps.span_id", "steps.parent_id")


def alias_ids(table: pa.Table, seed: bytes) -> pa.Table:
    """Rows of the ledger, whole sessions of it, with the same ids exchanged for the same others; the empty id stays empty.

    A table and a seed always give the same; without the seed nobody can tell beforehand what they give.
    """
    table = _exchanged(table, _TRACES, hashlib.blake2b(b"traces " + seed, digest_size=8).digest(), 16)
    return _exchanged(table, _SPANS, hashlib.blake2b(b"spans " + seed, digest_size=4).digest(), 8)


def _exchanged(table: pa.Table, columns: tuple[str, ...], head: bytes, size: int) -> pa.Table:
    """Let each id of these list columns be a head of our own and its place among all of them."""
    lists = {name: table[name].combine_chunks() for name in columns}
    ids: set[bytes] = set().union(*(flat.flatten().to_pylist() for flat in lists.values()))
    empty = bytes(size)
    places = {each: head + place.to_bytes(size - len(head), "big") for place, each in enumerate(sorted(ids), 1)}
    places[empty] = empty
    for name, held in lists.items():
        values = pa.array([places[each] for each in held.flatten().to_pylist()], pa.binary(size))
        ends = held.offsets
        if len(ends) and ends[0].as_py():
            ends = pa.compute.subtract(ends, ends[0])
        new = type(held).from_arrays(ends, values)
        table = table.set_column(table.column_names.index(name), name, new)
    return table
