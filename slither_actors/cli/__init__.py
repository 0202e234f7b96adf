"""The program `slither`: runs the examples, looks after the machine.

`_parser` says what may be typed, `_console` what is shown, `_main` how the program ends; every command is one module
with a `COMMAND`.
"""

from ._main import main

__all__ = ["main"]
