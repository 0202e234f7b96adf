"""A package of examples that do next to nothing, for tests of the commands that run examples."""

from __future__ import annotations

import textwrap
from pathlib import Path

NAME = "made_up_examples"

_COUNTING = """
SUMMARY = "counts to 100%"

def add_options(parser):
    parser.add_argument("--up-to", type=int, default=0)

def run(args, console):
    with console.progress("counting", args.up_to) as meter:
        meter.advance(args.up_to)
    if args.json:
        console.write_json({"counted": args.up_to})
    else:
        console.write(f"counted to {args.up_to}")
    return args.up_to
"""
_BASELINE = """
from .work import double

SIZE = 3
WORK = ("work",)

def make(size):
    return list(range(size))

def judge(expected, got):
    return "" if got == expected else f"WRONG: {got['sum']} instead of {expected['sum']}"

def plain_loop(inputs, workers):
    return {"sum": sum(map(double, inputs))}

def naive_threads(inputs, workers):
    return {"sum": 1}

def careful_threads(inputs, workers):
    return plain_loop(inputs, workers)

def process_pool(inputs, workers):
    return plain_loop(inputs, workers)

def with_slither(inputs, workers):
    return plain_loop(inputs, workers)
"""
_FILES = {
    "__init__.py": "",
    "contract.py": "",
    "counting/__init__.py": _COUNTING,
    "counting/baseline.py": _BASELINE,
    "counting/work.py": "def double(number):\n    return 2 * number\n",
    "lacking/__init__.py": "import no_such_module_anywhere",
    "needy/__init__.py": _COUNTING + "\nNEEDS = {'no_such_module': 'no such thing>=1'}\n",
    "01_first.py": '"""First: says hello.\n\nAnd more.\n"""\nprint("hello")\n',
    "02_second.py": """
        '''Second: needs something.'''
        NEEDS = {"no_such_module": "no such thing>=1"}
        raise SystemExit(7)
        """,
}


def make_examples(folder: Path) -> None:
    """Write the package."""
    for file, source in _FILES.items():
        path = folder / NAME / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(source), "utf-8")
