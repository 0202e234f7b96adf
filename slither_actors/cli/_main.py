"""How the program runs and ends: every way out is an exit code, and nothing but a mistake of ours shows a traceback."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Sequence

from slither_actors.errors import SlitherError, StartError

from . import baseline, chaos, config, dead, doctor, example, incidents, ps, reap, run, status, top
from . import describe as description
from ._console import Console, OutputClosed, OutputFailed, standard_console
from ._parser import build_parser
from ._termination import orderly_termination

COMMANDS = (
    example.COMMAND,
    run.COMMAND,
    baseline.COMMAND,
    dead.COMMAND,
    description.COMMAND,
    config.COMMAND,
    ps.COMMAND,
    status.COMMAND,
    top.COMMAND,
    incidents.COMMAND,
    doctor.COMMAND,
    reap.COMMAND,
    chaos.COMMAND,
)

FAILED = 1
NOT_STARTED = 3
INTERRUPTED = 128 + signal.SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program `slither`.

    Args:
        argv: what is typed behind the program's name; None takes the process's own arguments.

    Returns:
        The exit code.
    """
    console = standard_console()
    code = 0
    try:
        code = _run(argv, console)
        console.flush()
    except OutputClosed:
        console.abandon()  # whoever reads the output has seen enough: that is no failure
    except OutputFailed as failure:
        console.abandon()
        console.note(f"slither: the result cannot be written: {failure}")
        return FAILED
    return code


def _run(argv: Sequence[str] | None, console: Console) -> int:
    try:
        with orderly_termination():
            return _command(argv, console)
    except KeyboardInterrupt:
        console.note("interrupted")
        return INTERRUPTED
    except SystemExit as stop:
        # --help, wrong usage or SIGTERM: what there is to say has been said.
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)


def _command(argv: Sequence[str] | None, console: Console) -> int:
    parser = build_parser(COMMANDS)
    arguments = parser.parse_args(argv)
    if not hasattr(arguments, "run"):
        parser.print_help()
        return 0
    try:
        return int(arguments.run(arguments, console))
    except SlitherError as error:
        if arguments.debug:
            console.note(traceback.format_exc().rstrip())
        console.note(f"slither: {describe(error)}")
        return NOT_STARTED if isinstance(error, StartError) else FAILED


def describe(error: SlitherError) -> str:
    """Kind and message of an error in one line."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
