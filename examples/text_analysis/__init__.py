"""Documents through a pipe of three stages, with an index of its own in every worker."""

from __future__ import annotations

from .run import SUMMARY, add_options, run

__all__ = ["SUMMARY", "add_options", "run"]
