"""Lifetimes of processes: ties between creator and created, signals, descendants. Linux only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from slither_actors.transport.spawn import MARK

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36

# How long an admin waits for its double fork to settle; far more than a loaded machine needs.
_ADOPTION_LIMIT_S = 5.0
_ORPHANED = 97

# What the kernel says of processes that have not come to a stop, and how long those in a system call may take to.
_AT_WORK = (b"R", b"S", b"D")
_STOP_LIMIT_S = 0.1

# What it says of those that a signal has stopped, and of those that a debugger holds.
STOPPED = b"T"
TRACED = b"t"

# What the kernel says of processes that only wait to be reaped.
_DEAD = (b"Z", b"X")


def _prctl(option: int, value: int | bytes) -> None:
    argument = ctypes.c_char_p(value) if isinstance(value, bytes) else ctypes.c_ulong(value)
    nothing = ctypes.c_ulong(0)
    if ctypes.CDLL(None, use_errno=True).prctl(option, argument, nothing, nothing, nothing) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}): {os.strerror(ctypes.get_errno())}")


def become_subreaper() -> None:
    """From now on orphaned descendants become children of this process, so that it can end and reap them all."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def tie_to(creator: int) -> None:
    """Make this process die with `creator`, whatever kills that.

    Waits until `creator` is the parent: after a double fork the process in between must be gone first, and the
    subreaper must have adopted us. The second look closes the race with a creator that died before the tie was made.
    """
    deadline = time.monotonic() + _ADOPTION_LIMIT_S
    between = os.getppid()
    while (parent := os.getppid()) != creator:
        if parent != between or time.monotonic() > deadline:  # adopted by somebody else: the creator is dead
            os._exit(_ORPHANED)
        time.sleep(0.0002)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != creator:
        os._exit(_ORPHANED)


def unblock_signals() -> None:
    """Drop what an exec hands down: signals that the creating thread had blocked, and those that were ignored there.

    What Python itself ignores stays so.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for signum in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT}:
        if signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, signal.SIG_DFL)


def reset_signals() -> None:
    """Give fatal signals back their default action, and stop listening to the terminal.

    Thespian installs a Python handler for every signal. For a synchronous fault such a handler returns and the faulting
    instruction runs again, for ever: the process would spin instead of die.
    """
    fatal = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGSYS, signal.SIGTRAP)
    for signum in fatal:
        signal.signal(signum, signal.SIG_DFL)
    deafen(signal.SIGINT)


def free_forks() -> None:
    """Let what is forked here have the signals of a plain program: those that have a handler now have none there.

    Thespian's handlers wake a loop that a fork does not run, so SIGTERM, by which `multiprocessing` ends its processes,
    would mean nothing there. What arrives meanwhile waits, or it would be lost.
    """
    inherited = {signum: signal.getsignal(signum) for signum in signal.valid_signals()}
    held = threading.local()  # threads fork side by side

    def hold() -> None:
        held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    def release() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, held.mask)

    def restore() -> None:
        for signum, handler in inherited.items():
            if callable(handler) and signal.getsignal(signum) is handler:
                signal.signal(signum, signal.default_int_handler if signum == signal.SIGINT else signal.SIG_DFL)
        release()

    os.register_at_fork(before=hold, after_in_parent=release, after_in_child=restore)


def deafen(signum: int) -> None:
    """Let a signal have no effect here. A handler, since ignored signals would stay ignored in programs that user code
    starts."""
    signal.signal(signum, lambda signum, frame: None)


def set_title(name: str) -> None:
    """Show the last part of `name` as the command in `ps -o comm` and `top`; the kernel keeps 15 bytes."""
    _prctl(_PR_SET_NAME, name.rpartition("/")[2].encode()[:15])


def lead_group() -> None:
    """Make this process the leader of its own group, so that it and what it starts can be killed as one."""
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)


def kill_group(pid: int) -> None:
    """Kill `pid` and, where it leads a group, the whole group. The caller must be its parent and not have reaped it."""
    with contextlib.suppress(OSError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def held_still(pid: int) -> Iterator[None]:
    """Within the block the process does nothing; then it goes on, unless it was killed meanwhile. The caller must be
    its parent and not have reaped it."""
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGSTOP)
        deadline = time.monotonic() + _STOP_LIMIT_S
        while _stat(pid)[0] in _AT_WORK and time.monotonic() < deadline:
            time.sleep(0.0002)  # the kernel tells nobody but a parent that waits for it
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGCONT)


def kill_leftovers(pid: int) -> None:
    """Kill what is left of the group that `pid`, dead by now, was leading: what user code started there."""
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


def kill_all_of(mark: str, session: int | None = None, limit_s: float = 1.0) -> None:
    """Kill whatever is left of a system whose host is dead: programs that user code started live on then.

    They are known by what they inherited, since numbers of processes are given again.

    Args:
        mark: the value of `MARK` in their environment.
        session: the session of the system's processes, where it is known to be theirs still.
        limit_s: how long to look for new ones.
    """
    deadline = time.monotonic() + limit_s
    wanted = f"{MARK}={mark}".encode()
    while sum(_kill_if_left(int(entry), wanted, session) for entry in os.listdir("/proc") if entry.isdigit()):
        if time.monotonic() > deadline:
            return
        time.sleep(0.001)


def _kill_if_left(pid: int, mark: bytes, session: int | None) -> bool:
    try:
        process = os.pidfd_open(pid)  # first, so that what is read and what is killed is the same process
    except OSError:
        return False
    try:
        state, _, _, its_session = _stat(pid)[:4]
        if state in _DEAD or pid == os.getpid():
            return False
        if int(its_session) != session and mark not in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            return False
        signal.pidfd_send_signal(process, signal.SIGKILL)
        return True
    except (OSError, ValueError):  # it has just ended, or is somebody else's
        return False
    finally:
        os.close(process)


def state_of(pid: int, session: int) -> bytes:
    """The kernel's letter for what a process does; empty if it is dead, or of another session."""
    try:
        state, _, _, its_session = _stat(pid)[:4]
        return b"" if state in _DEAD or int(its_session) != session else state
    except (OSError, ValueError):
        return b""


def rests_of(pid: int) -> int:
    """How often a process has come to rest; one more if it is continued and stopped again."""
    try:
        status = Path(f"/proc/{pid}/status").read_bytes()
        return int(status.partition(b"\nvoluntary_ctxt_switches:")[2].split(maxsplit=1)[0])
    except (OSError, ValueError, IndexError):  # it has just ended
        return 0


def kill_distant(pid: int, session: int, before: Callable[[], None]) -> None:
    """Kill a process of this session that need be no child, if there is such a one; `before` that is called."""
    try:
        process = os.pidfd_open(pid)  # first, so that what is looked at and what is killed is the same process
    except OSError:
        return
    try:
        if state_of(pid, session):
            before()
            signal.pidfd_send_signal(process, signal.SIGKILL)
    except OSError:
        pass  # it has just ended
    finally:
        os.close(process)


def has_ended(pid: int) -> bool:
    """Whether a process is dead, also if nobody has reaped it yet."""
    try:
        return _stat(pid)[0] in _DEAD
    except OSError:
        return True


def is_held(pid: int) -> bool:
    """Whether a process does nothing, since a signal has stopped it."""
    try:
        return _stat(pid)[0] in (b"T", b"t")
    except OSError:
        return False


def _stat(pid: int) -> list[bytes]:
    """State, parent, group and session of a process, and more."""
    # the command name may hold blanks, brackets and half a character: read behind the last bracket
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()


def describe_exit(code: int | None) -> str:
    """`multiprocessing`'s exit code in words: "SIGKILL", "exit code 3", "unknown"."""
    if code is None:
        return "unknown"
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def descendants(root: int) -> list[int]:
    """All living descendants of `root`, parents before children."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        for pid in children.get(todo.pop(), ()):
            found.append(pid)
            todo.append(pid)
    return found


def children() -> list[int]:
    """The children of this process, also adopted and dead ones."""
    pid = os.getpid()
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def end_orphans(spared: int, ended: Callable[[int], None]) -> None:
    """In the subreaper: reap what died, and kill adopted children, all but one, whose group has lost its leader.

    Actors lead groups, and die with their creators. What user code had started in them does not, and comes here.

    Args:
        spared: the child that belongs here.
        ended: told of each process that was reaped.
    """
    reap(ended)
    for pid in set(children()) - {spared}:
        with contextlib.suppress(OSError):
            leader = os.getpgid(pid)
            if not Path(f"/proc/{leader}").exists():
                os.kill(pid, signal.SIGKILL)


def end_descendants(limit_s: float = 5.0) -> None:
    """Kill and reap everything below this process. A subreaper reaches them all, however deep they were."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        for pid in descendants(os.getpid()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if not reap():
            return
        time.sleep(0.001)


def close_inherited(keep: set[int]) -> None:
    """Close what a fork brought along: a pipe or socket of the creator held open here would never end there."""
    for entry in os.listdir("/proc/self/fd"):
        if int(entry) not in keep:
            with contextlib.suppress(OSError):
                os.close(int(entry))


def reap(ended: Callable[[int], None] = lambda pid: None) -> bool:
    """Collect ended children, and tell `ended` of each; true while any child is left."""
    try:
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            ended(pid)
    except ChildProcessError:
        return False
    return True
