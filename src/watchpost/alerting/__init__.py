"""Notices reach their channels at least once, and a channel that is slow or broken delays no other."""
