"""Who gets which batch when, and what a failure means.

`messages` is the flow protocol; `_edges`, `_reorder`, `_desk` and `_core` are pure; `dispatcher` is the actor around
them; `run` is the service's side, which feeds the source and yields the results.
"""
