"""The append-only log: what is accepted lands here before it is acknowledged, and is read from here after a crash.

Promise of the room:

- An append that was answered with its sequence number is on disk: it survives kill -9 and power loss.
- Sequence numbers start at 1, grow by one per record, and are never given out again for another record that was acknowledged.
- Records come back in that order, byte for byte as given, or not at all: damage is either an append that nobody was told
  had succeeded, which is cut off, or an error that names file and offset.
- An append that was answered with an error is not handed on by this process.

What a record holds is not the room's business. It relies on `fdatasync` and an atomic `rename`, as Linux has them, and on
a disk that keeps what it reports as flushed. One process at a time opens a folder; the caller sees to that.
"""
