"""One file per detector. A detector is a fold over a session's steps, in step order, that yields findings.

Promise of every detector, checked by one battery over all of them: it is deterministic and reads no clock; what it finds depends on
the steps alone, not on how they arrived; `rewind(n)` leaves it as it was after its first `n` steps, at a cost that grows
with the steps taken back, so that a step arriving late costs the steps after it and no more; a step costs the same
however long the session is.
"""
