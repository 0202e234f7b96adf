"""Actors that behave, and actors that do not."""

from __future__ import annotations

import ctypes
import logging
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from slither_actors.errors import SlitherError
from slither_actors.otp.child import ExitReason
from slither_actors.otp.server import Caller, Server

_log = logging.getLogger("leaves")


class Unreadable:
    """Can be sent, but whoever gets it cannot read it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _fail, ()


def _fail() -> None:
    raise ImportError("no such message class here")


class Told(Exception):
    """What a leaf raises on demand."""


class Leaf(Server):
    """Does as it is told."""

    def __init__(self, diary: str | None = None) -> None:
        self._diary = diary
        self._seen: list[str] = []

    def init(self) -> dict[str, int]:
        return {"pid": os.getpid()}

    def handle_call(self, request: Any, caller: Caller) -> Any:
        what, *rest = request if isinstance(request, tuple) else (request,)
        return getattr(self, f"do_{what}")(*rest)

    def handle_info(self, message: Any, sender: str) -> None:
        self._seen.append(str(message))

    def terminate(self, reason: ExitReason) -> None:
        if self._diary is not None:
            self.write(f"terminate {reason.kind}")

    def write(self, line: str) -> None:
        with open(self._diary or os.devnull, "a") as diary:
            diary.write(line + "\n")

    def do_echo(self, value: Any) -> Any:
        return value

    def do_answer_unreadably(self) -> Any:
        return Unreadable()

    def do_seen(self) -> list[str]:
        return self._seen

    def do_pids(self) -> tuple[int, int]:
        return os.getpid(), os.getppid()

    def do_group(self) -> tuple[int, str]:
        return os.getpgid(0), Path("/proc/self/comm").read_text().strip()

    def do_descriptors(self) -> dict[int, str]:
        found = {}
        for fd in os.listdir("/proc/self/fd"):
            try:
                found[int(fd)] = os.readlink(f"/proc/self/fd/{fd}")
            except OSError:
                pass  # the one that listed them
        return found

    def do_hub(self) -> list[int]:
        return self.life.transport.hub.descriptors()  # type: ignore[no-any-return]

    def do_raise(self) -> None:
        self.write("raise")
        raise Told("as you wish")

    def do_refuse(self) -> None:
        raise SlitherError("not me")

    def do_leave_by_sys_exit(self) -> None:
        self.write("raise")
        raise SystemExit(4)

    def do_vanish(self, code: int) -> None:
        os._exit(code)

    def do_segfault(self) -> None:
        ctypes.string_at(0)

    def do_echo_slowly(self, value: Any) -> Any:
        time.sleep(0.05)
        return value

    def do_hang(self) -> None:
        time.sleep(60)

    def do_stop(self, kind: Any, text: str) -> str:
        self.exit(ExitReason(kind, text))
        return "stopping"

    def do_log(self, text: str) -> None:
        _log.warning("%s", text)

    def do_start_program(self, *how: str) -> int:
        options: dict[str, Any] = {"env": {}} if "bare" in how else {}
        return subprocess.Popen(["sleep", "60"], start_new_session="detached" in how, **options).pid

    def do_start_timers(self) -> None:
        for number in (3, 1, 2):
            self.start_timer(number / 100, lambda number=number: self._seen.append(f"timer {number}"))  # type: ignore[misc]

    def do_print(self, text: str) -> None:
        print(text)


class FailingInit(Leaf):
    """Does not come up, in one of several ways."""

    def __init__(self, how: str, diary: str | None = None) -> None:
        super().__init__(diary)
        self._how = how
        if how == "constructor":
            raise Told("in the constructor")

    def init(self) -> Any:
        self.write("init")
        match self._how:
            case "raise":
                raise Told("in init")
            case "sys_exit":
                raise SystemExit(7)
            case "vanish":
                os._exit(5)
            case "segfault":
                ctypes.string_at(0)
            case "hang":
                time.sleep(60)
