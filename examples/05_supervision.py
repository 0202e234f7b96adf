"""Supervision: what dies comes back, with what depends on it, and after a pause where it needs one.

Run it:

    python examples/05_supervision.py

You should see, beside what the supervisors log on standard error:

    gin costs 7
    the prices were killed; new are: prices, book
    the bell broke; it is restarting, and then running
    hello ann, hello bob
    nobody is missed: None
    clerks at work: 2
"""

import os
import signal
import time

import slither_actors as slither
from slither_actors.otp import IGNORE, Backoff, ChildSpec, Restart, Server, Strategy, Supervisor, SupervisorOptions


class Prices(Server):
    def handle_call(self, request, caller):
        return {"tea": 3, "gin": 7}[request]


class Book(Server):
    """Asks for the prices once, so it has to begin anew when they do."""

    def init(self):
        self.continue_with(["tea", "gin"])

    def handle_continue(self, what):
        self.prices = {drink: self.call("children/desk/prices", drink) for drink in what}

    def handle_call(self, request, caller):
        return self.prices[request]


class Bell(Server):
    def handle_cast(self, request):
        raise RuntimeError("the bell is cracked")


class Clerk(Server):
    def __init__(self, word, name):
        self.word, self.who = word, name

    def init(self):
        return IGNORE if self.who == "nobody" else None

    def handle_call(self, request, caller):
        return f"{self.word} {self.who}"


class Desk(Supervisor):
    """Makes its plan in its own process. Who needs the prices stands behind them; the bell stands before."""

    def init(self):
        bell = ChildSpec("bell", Bell, backoff=Backoff(min_s=0.2))
        clerks = SupervisorOptions(dynamic=True), [ChildSpec("clerk", Clerk, ("hello",), restart=Restart.TEMPORARY)]
        return SupervisorOptions(strategy=Strategy.REST_FOR_ONE), [
            ChildSpec("clerks", Supervisor, clerks, type="supervisor"),
            ChildSpec("hall", Supervisor, (SupervisorOptions(), [bell]), type="supervisor"),
            ChildSpec("prices", Prices),
            ChildSpec("book", Book),
        ]


def wait_until(look):
    deadline = time.monotonic() + 10.0
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


with slither.start(pools={"default": 1}, children=[ChildSpec("desk", Desk, type="supervisor")]) as system:
    print("gin costs", system.call("children/desk/book", "gin"))
    before = {name: system.whereis(f"children/desk/{name}") for name in ("hall", "prices", "book")}
    if before["prices"] is not None:
        os.kill(before["prices"].pid, signal.SIGKILL)
    wait_until(lambda: system.whereis("children/desk/book") not in (None, before["book"]))
    new = [name for name, ref in before.items() if system.whereis(f"children/desk/{name}") != ref]
    print("the prices were killed; new are:", ", ".join(new))

    hall = system.supervisor("children/desk/hall")
    system.cast("children/desk/hall/bell", "ring")
    for status in ("restarting", "running"):
        wait_until(lambda status=status: hall.which_children()[0].status.value == status)
    print("the bell broke; it is restarting, and then running")

    clerks = system.supervisor("children/desk/clerks")
    started = [clerks.start_child((name,)) for name in ("ann", "bob")]
    print(", ".join(system.call(ref, "greet") for ref in started if ref is not None))
    print("nobody is missed:", clerks.start_child(("nobody",)))
    print("clerks at work:", clerks.count_children().active)
