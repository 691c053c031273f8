"""The pages: complete HTML made here, that works without a script. Everything from traces in them is hostile, and escaped.

One file for each page or pair of pages, each with a `router(...)`; `rendering` is what they are made with, `display` how values look,
`chart` how figures are drawn. A page reads the stores, so its route is a plain function, which runs in a worker thread.
"""
