"""The processes of a running system, as a chaos sees and seizes them: from outside, asking nobody in the tree."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from types import TracebackType
from typing import Self

from slither_actors.errors import RunDirectoryError
from slither_actors.testing._chaos_roles import Process
from slither_actors.transport.labels import read_labels
from slither_actors.transport.running import RunningSystem, Stat, read_stat


class SeenSystem:
    """A running system. A context manager, since it keeps a descriptor of the host.

    Only what has a label and hangs below the host is ever seen or seized: neither the host itself, nor the admin, nor
    the service, nor programs that user code has started.

    Raises:
        RunDirectoryError: the host cannot be seen from here, or has just ended.
    """

    def __init__(self, system: RunningSystem) -> None:
        self._directory = system.directory
        self._host = system.host
        try:
            self._life = os.pidfd_open(system.host)
        except OSError:
            raise RunDirectoryError(
                str(system.directory), "belongs to a system that has just ended, or runs in another container"
            ) from None

    @property
    def alive(self) -> bool:
        """Whether the host lives, and with it the tree."""
        poller = select.poll()
        poller.register(self._life, select.POLLIN)
        return not poller.poll(0)

    def look(self) -> list[Process] | None:
        """Who lives, supervisors and actors; `None` when the system is gone."""
        if not self.alive:
            return None
        with contextlib.suppress(OSError):  # it ends just now
            labels = read_labels(self._directory)
            known: dict[int, Stat | None] = {}
            return [Process(label.name, pid) for pid, label in labels.items() if self._is_ours(pid, known)]
        return None

    def grip(self, process: Process) -> PidfdGrip | None:
        """Take hold of a process; `None` where it is gone."""
        try:
            descriptor = os.pidfd_open(process.pid)  # first: what is checked then is this process, or gone
        except OSError:
            return None
        with contextlib.suppress(OSError):
            label = read_labels(self._directory).get(process.pid)
            if label is not None and label.name == process.name and self._is_ours(process.pid, {}):
                return PidfdGrip(descriptor)
        os.close(descriptor)
        return None

    def _is_ours(self, pid: int, known: dict[int, Stat | None]) -> bool:
        """Whether a process lives and hangs below the host: the label of a dead one may stand for a moment.

        Args:
            known: what was read of others, by process id; more is added.
        """
        while pid > 1:
            if pid not in known:
                known[pid] = read_stat(pid)
            stat = known[pid]
            if stat is None or stat.state in "ZX":
                return False
            if stat.parent == self._host:
                return True
            pid = stat.parent
        return False

    def close(self) -> None:
        """Let go of the host."""
        os.close(self._life)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class PidfdGrip:
    """A hold on a process that is never one on another process of the same number."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, number: signal.Signals) -> bool:
        """Send a signal; false if the process is gone."""
        try:
            signal.pidfd_send_signal(self._descriptor, number)
        except ProcessLookupError:
            return False
        return True

    def release(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)
