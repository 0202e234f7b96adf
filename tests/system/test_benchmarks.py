"""The bench as it is started from a shell, with so little work that only its shape means something."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.waiting import marked

pytestmark = [pytest.mark.system, pytest.mark.thorough]

ROOT = Path(__file__).parents[2]
MARK = "MARK_OF_THE_TESTS"
LIMIT_S = 130.0


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "--quick", *arguments],
        cwd=folder,
        env={**os.environ, MARK: str(folder)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_the_bench_prints_tables_and_bars_and_writes_its_files(base: Path, tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text("<!-- benchmarks: begin -->\n<!-- benchmarks: end -->\n", "utf-8")

    ended = bench(
        tmp_path,
        *("--workloads", "w1-ordered", "w7-killed", "w8", "--peers", "slither_actors", "process_pool"),
        *("--json", "r.json", "--plot", "static/p.svg", "--markdown", "performance.md"),
    )

    assert ended.returncode == 0, ended.stderr
    assert "W1-ORDERED: no-op, batches of 64, in order" in ended.stdout
    assert "| P1  | stream, no-op, batches of 64 " in ended.stdout
    found = json.loads((tmp_path / "r.json").read_text("utf-8"))
    for peer in ("slither_actors", "process_pool"):
        assert found["medians"]["w1-ordered"][peer]["items_s"] > 0
    (killed,) = found["runs"]["w7-killed"]["slither_actors"]
    assert (killed["outcome"], killed["lost"]) == ("completes", 10)
    assert "left_behind" not in killed
    (broken,) = found["runs"]["w7-killed"]["process_pool"]
    assert broken["outcome"] == "raises BrokenProcessPool"
    (stateless,) = found["runs"]["w8"]["process_pool"]
    assert stateless["status"].startswith("not possible: ")
    assert [bar["reached"] for bar in found["bars"] if bar["bar"] == "P3"] == ["not measured"]
    assert (tmp_path / "static" / "p.svg").read_text("utf-8").endswith("</svg>\n")
    assert "![Ratios of all workloads](static/p.svg)" in document.read_text("utf-8")
    assert not marked(str(tmp_path))


def test_a_wrong_name_or_document_is_refused_before_anything_runs(tmp_path: Path) -> None:
    assert "there is no workload 'w99'" in bench(tmp_path, "--workloads", "w99").stderr
    assert "there is no peer 'rey'" in bench(tmp_path, "--peers", "rey").stderr
    (tmp_path / "other.md").write_text("nothing is marked", "utf-8")
    assert "needs <!-- benchmarks: begin -->" in bench(tmp_path, "--markdown", "other.md").stderr
