"""Flags to notices: rules are data, judging is pure, and judging again never tells anybody twice."""
