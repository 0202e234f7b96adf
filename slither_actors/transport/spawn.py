"""The first half of a host's start: an interpreter that imports what actors need while the service still makes ready.

Half of the time that a system takes to start is spent on imports, once in the service and once in the host. This
module imports next to nothing of the library, so that the two can happen side by side.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

# In the environment of a host, and so of all that it and its actors start: whose they are.
MARK = "SLITHER_SYSTEM"

# The module search path is set before anything else is imported, since the library itself may come from it; and the
# current folder is on it only where the service has it there, since a file of the user may be called json.py.
_BOOTSTRAP = """
import os, sys
sys.path[:] = filter(None, sys.path)
import json
pipe = os.fdopen(int(sys.argv[1]), "rb", 0)  # what is not read yet must be seen by a poll
sys.path[:] = json.loads(pipe.readline() or sys.exit())
from slither_actors.transport.host import main
main(pipe)
"""


class WaitingHost:
    """A host that has done nothing yet but import, and waits to be told what to do.

    As a context manager it ends the host, unless that was handed over by then: then the host belongs to whoever took
    it, and so does `lifeline`. A host whose service dies before that ends by itself.
    """

    def __init__(self, preload: Iterable[str]) -> None:
        """Starts the process; `preload` are modules that every actor will need.

        Raises:
            StartError: the interpreter cannot be run, or there are no descriptors left.
        """
        self.mark = os.urandom(16).hex()
        (config, words), (self.status, status), (lifeline, self.lifeline) = _pipes(3)
        self._words = os.fdopen(words, "w")
        self._over = False
        try:
            self.process = _spawn(self.mark, config, status, lifeline)
        except BaseException:
            self._close()
            raise
        finally:
            for fd in (config, status, lifeline):
                os.close(fd)
        try:
            self._say([os.fsdecode(entry) or os.getcwd() for entry in sys.path])
            self._say({"preload": list(preload), "service": os.getpid(), "status": status, "lifeline": lifeline})
        except BaseException:
            self.end()
            raise

    def tell(self, config: dict[str, Any]) -> None:
        """Let it go on, with the rest of what `host.main` wants to know."""
        self._say({"mark": self.mark, **config})
        self._hang_up()

    def hand_over(self) -> None:
        """It has said all that it says on `status`; from now on it is the caller's to end."""
        self._over = True
        os.close(self.status)

    def end(self) -> None:
        """Kill it, unless it was handed over. Repeating it does no harm."""
        if not self._over:
            self._over = True
            self._close()
            self.process.kill()
            self.process.wait()

    def _say(self, words: Any) -> None:
        with contextlib.suppress(BrokenPipeError):  # it is dead: `status` tells
            print(json.dumps(words), file=self._words, flush=True)

    def _hang_up(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._words.close()

    def _close(self) -> None:
        self._hang_up()
        os.close(self.status)
        os.close(self.lifeline)

    def __enter__(self) -> WaitingHost:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def _spawn(mark: str, config: int, status: int, lifeline: int) -> subprocess.Popen[bytes]:
    """The host process with its ends of the three pipes."""
    if not sys.executable:
        raise _refusal("this interpreter does not know its own executable (sys.executable)")
    try:
        return subprocess.Popen(
            [sys.executable, "-c", _BOOTSTRAP, str(config)],
            pass_fds=(config, status, lifeline),
            stdin=subprocess.DEVNULL,
            stdout=_stderr(),
            stderr=_stderr(),
            env={**os.environ, MARK: mark},
            start_new_session=True,
        )
    except OSError as error:
        raise _refusal(f"{sys.executable} cannot be run: {error.strerror}") from None


def _refusal(why: str) -> Exception:
    from slither_actors.errors import StartError  # only now: it is a third of all imports

    return StartError("the host process", why)


def _pipes(count: int) -> list[tuple[int, int]]:
    pipes: list[tuple[int, int]] = []
    try:
        for _ in range(count):
            pipes.append(_pipe())
    except OSError as error:
        for fd in itertools.chain(*pipes):
            os.close(fd)
        raise _refusal(f"no pipe to it can be made: {error.strerror}") from None
    return pipes


def _pipe() -> tuple[int, int]:
    """A pipe above the three standard descriptors, which a service may have closed, and which the host gets anew."""
    ends = []
    for fd in os.pipe():
        ends.append(fd if fd > 2 else fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3))
        if fd <= 2:
            os.close(fd)
    return ends[0], ends[1]


def _stderr() -> int:
    """What the tree prints goes to the service's standard error, where it has one."""
    try:
        os.fstat(2)
    except OSError:
        return subprocess.DEVNULL
    return 2
