"""Thespian's own tests against the Unix base, beside its TCP base: passed and failed per module.

    python -m tests.conformance [PATH] [--only test_simpleActor] [--base unix]

PATH is a checkout or an sdist of Thespian; without it, the tests of the installed one are run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

from tests.conformance.plugin import BASES

_TEST_LIMIT_S = 120


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?", type=Path, help="a checkout or an sdist; the installed one without it")
    parser.add_argument("--only", action="append", metavar="MODULE", help="one test module; can be repeated")
    parser.add_argument("--base", choices=tuple(BASES), action="append", help="one base alone")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        suite = _find(given.path, Path(scratch))
        names = given.only or ["test_*"]
        modules = sorted(file for name in names for file in suite.glob(f"{name.removesuffix('.py')}.py"))
        if not modules:
            parser.error(f"no test module in {suite} is called {' or '.join(names)}")
        results = {base: _run(base, modules, Path(scratch)) for base in given.base or BASES}
    _print_table(results)
    ours = results.get("unix", {})
    return int(any(counts["failed"] for counts in ours.values()))


def _find(given: Path | None, scratch: Path) -> Path:
    """The folder with the test modules."""
    if given is None:
        import thespian.test

        return Path(thespian.test.__file__).parent
    if given.is_file():
        with tarfile.open(given) as archive:
            archive.extractall(scratch, filter="data")
        given = next(entry for entry in scratch.iterdir() if entry.is_dir())
    suite = given / "thespian" / "test"
    if not suite.is_dir():
        raise SystemExit(f"{given} is no checkout or sdist of Thespian: it has no thespian/test")
    return suite


def _run(base: str, modules: list[Path], scratch: Path) -> dict[str, Counter[str]]:
    """Run the tests in a process of their own, with Thespian's files out of the way."""
    report = scratch / f"{base}.xml"
    root = modules[0].parents[2]
    options = ["-q", "--tb=short", "-p", "tests.conformance.plugin", f"--system-base={base}", "-p", "no:cacheprovider"]
    options += ["-c", os.devnull, f"--rootdir={root}", f"--timeout={_TEST_LIMIT_S}", f"--junitxml={report}"]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(root), os.getcwd(), os.environ.get("PYTHONPATH", "")]),
        "THESPLOG_FILE": os.devnull,
    }
    # a test of Thespian's runs a program and expects its output to be buffered
    environment.pop("PYTHONUNBUFFERED", None)
    subprocess.run(
        [sys.executable, "-m", "pytest", *options, *map(str, modules)], cwd=scratch, env=environment, check=False
    )
    return _counts(report)


def _counts(report: Path) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        module = case.get("classname", "").partition("test.")[2].partition(".")[0] or case.get("classname", "")
        outcome = next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")
        outcome = {"failure": "failed", "error": "failed"}.get(outcome, outcome)
        counts.setdefault(module, Counter())[outcome] += 1
    return counts


def _print_table(results: dict[str, dict[str, Counter[str]]]) -> None:
    """Markdown, one row per module; a cell is passed / failed / skipped."""
    modules = sorted({module for counts in results.values() for module in counts})
    print("| module |" + "".join(f" {base} |" for base in results))
    print("|---|" + "---|" * len(results))
    for module in modules:
        print(f"| {module} |" + "".join(f" {_cell(counts.get(module, Counter()))} |" for counts in results.values()))
    totals = [sum(counts.values(), Counter()) for counts in results.values()]
    print("| all |" + "".join(f" {_cell(total)} |" for total in totals))


def _cell(counts: Counter[str]) -> str:
    return f"{counts['passed']} / {counts['failed']} / {counts['skipped']}"


if __name__ == "__main__":
    raise SystemExit(main())
