"""`slither chaos`: hits processes of a running system at random, and tells what its tree makes of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from ._console import Console
from ._parser import Command, Parser, add_json, suggestion

if TYPE_CHECKING:
    from slither_actors.testing import ChaosReport

# The words are those of `slither_actors.testing.Chaos`, which is imported only by who starts one.
_KINDS = ("kill", "stop", "slow")
_TARGETS = ("workers", "dispatchers", "stages", "stores", "pools", "supervisors", "children", "registry")
_FATAL = ("root",)
_DESCRIPTION = """\
Hits processes of a running system at random: kills them, stops them for a moment, or slows them for a while. It runs
for a bounded time, and lets everybody go on at the end, also after Ctrl-C. The service, the host, programs that your
code has started and other systems are never touched. Do not aim it at what you cannot lose.
"""
_EPILOG = """\
The same --seed does the same again, to the same processes as far as they live then; without one it is drawn, and told.

exit codes: 0 the system lives    1 it is gone, or was not there    2 wrong usage    130 Ctrl-C
"""


def _configure(parser: Parser) -> None:
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.add_argument("system", metavar="NAME", help="name of a running system, or its run directory")
    parser.add_argument("--seed", type=int, metavar="N", help="what decides what is done, and to whom")
    parser.add_argument("--duration", type=_positive, default=30.0, metavar="S", help="seconds (default: 30)")
    parser.add_argument("--rate", type=_positive, default=1.0, metavar="R", help="strikes per second (default: 1)")
    parser.add_argument("--kinds", type=_some_of("kind", _KINDS), default=_KINDS, help="default: kill,stop,slow")
    targets = f"default: {','.join(_TARGETS)}; also: {','.join(_FATAL)}, whose death ends the system"
    parser.add_argument("--targets", type=_some_of("target", _TARGETS + _FATAL), default=_TARGETS, help=targets)
    parser.add_argument(
        "--longest-stop", type=_positive, default=0.3, metavar="S", help="no stop takes more seconds (default: 0.3)"
    )
    parser.add_argument(
        "--spend-budgets",
        action="store_true",
        help="kill more often than supervisors accept, so that they give up in turn and in the end the system may",
    )
    add_json(parser)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def _some_of(what: str, known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def words(text: str) -> tuple[str, ...]:
        given = tuple(text.split(","))
        for word in given:
            if word not in known:
                hint = suggestion(word, known)
                raise argparse.ArgumentTypeError(f"unknown {what} {word!r}{hint} (known: {', '.join(known)})")
        return given

    return words


def _run(arguments: argparse.Namespace, console: Console) -> int:
    from slither_actors.testing.chaos import Chaos

    chaos = Chaos(
        arguments.system,
        seed=arguments.seed,
        duration_s=arguments.duration,
        rate=arguments.rate,
        kinds=arguments.kinds,
        targets=arguments.targets,
        longest_stop_s=arguments.longest_stop,
        spare_budgets=not arguments.spend_budgets,
    )
    console.note(f"chaos on {arguments.system} with seed {chaos.seed} for {arguments.duration:g} s; Ctrl-C ends it")
    try:
        report = chaos.run()
    except (KeyboardInterrupt, SystemExit):
        _tell(chaos.report, arguments, console)
        raise
    _tell(report, arguments, console)
    return 0 if report.alive else 1


def _tell(report: ChaosReport, arguments: argparse.Namespace, console: Console) -> None:
    if arguments.json:
        console.write_json(report.plain())
    else:
        console.write(str(report))


COMMAND = Command("chaos", "kill, stop and slow processes of a running system at random", _configure, _run)
