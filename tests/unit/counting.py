"""How much the library does, as a number that is the same on every machine."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import slither_actors

LIBRARY = slither_actors.__path__[0]


class Steps:
    """Counts the instructions that the library's own code runs."""

    def __enter__(self):
        self.count = 0
        self._before = sys.gettrace()
        sys._getframe().f_trace_opcodes = True  # Python 3.12 looks but once, here, whether any frame wants them
        sys.settrace(self._trace)
        return self

    def __exit__(self, *exc):
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "opcode":
            self.count += 1
        elif event == "call":
            if not frame.f_code.co_filename.startswith(LIBRARY):
                return None
            frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return self._trace
