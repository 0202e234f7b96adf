"""How a process is stopped or slowed: which signal it gets, and when the next. Pure."""

from __future__ import annotations

import signal

from slither_actors.testing._chaos_plan import Strike

# Short enough that a slowed process seems to run all the time.
_TURN_S = 0.02


class Hold:
    """Stops a process and lets it go on, once or in turns, until its time is over.

    Each turn is counted from when the signal was sent, so a chaos that comes late slows a process no less and no more.
    """

    def __init__(self, strike: Strike, now: float) -> None:
        self._over = now + strike.lasts_s
        self._stopped_s = strike.lasts_s if strike.kind == "stop" else _TURN_S * (1 - strike.share)
        self._running_s = 0.0 if strike.kind == "stop" else _TURN_S * strike.share
        self._stopped = False
        self.due: float | None = now

    def step(self, now: float) -> signal.Signals | None:
        """What to send now that `due` has come; `due` is when the next comes, `None` if this was the last."""
        if self._stopped:
            return self.release(now)
        if now >= self._over:
            self.due = None
            return None
        self._stopped = True
        self.due = min(now + self._stopped_s, self._over)
        return signal.SIGSTOP

    def release(self, now: float) -> signal.Signals:
        """Let it go on."""
        self._stopped = False
        self.due = now + self._running_s if now < self._over else None
        return signal.SIGCONT
