"""The nouns. Frozen values without I/O; every other room speaks in them.

Those that come by the thousand are `gc=False`: a value made once from parts that cannot point back to it is in no cycle, and a
collector that need not look at millions of them takes a tenth of the time.
"""
