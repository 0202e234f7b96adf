"""Processes that run user code on batches, and the pools they come from.

`parcel` is the form in which items travel, `executor` what a worker runs, `process` the worker, `_leases` who may use
which worker (pure), `pool` the actor around that and the supervisor of the workers.
"""
