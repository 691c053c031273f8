"""The fold: spans to steps, steps to sessions.

Promise: what a session is (its steps, totals, workflow, outcome) depends on the set of spans received, the winning copy of
each, and on nothing else: not on order, batching, repetition, or on how often it was dropped from memory and rebuilt.
Pure: no I/O, and time comes in as an argument.
"""
