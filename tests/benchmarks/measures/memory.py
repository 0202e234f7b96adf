"""What this process and its relatives hold. No library: the memory of what measures would be measured with it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

GLANCE_S = 0.1


def family() -> Iterator[int]:
    """This process and everything below the driver, so also what has left its parent."""
    return descendants(os.getppid())


def descendants(root: int) -> Iterator[int]:
    """The processes below `root`, without those that only wait to be reaped."""
    try:
        tasks = list(Path(f"/proc/{root}/task").iterdir())
        children = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    except OSError:
        return  # it has just ended
    for child in children:
        yield child
        yield from descendants(child)


def pss_mb() -> float:
    """The proportional size of the family: a page that several processes share counts once."""
    return sum(_field_mb(pid, "smaps_rollup", "Pss:") for pid in family())


def peak_mb() -> float:
    """The sum of the largest resident sizes that the processes of the family ever had."""
    return sum(_field_mb(pid, "status", "VmHWM:") for pid in family())


class PssPeak:
    """Looks at the proportional size of the family while something goes on; `mb` is the most that it saw."""

    def __enter__(self) -> PssPeak:
        self.mb = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.mb = max(self.mb, pss_mb())
            if self._over.wait(GLANCE_S):
                return


def _field_mb(pid: int, file: str, field: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024 / 1e6
