"""The begin of a run: waiting until every node is ready."""

from __future__ import annotations

import logging

from slither_actors.dispatch._dispatch_run import DispatchPlan
from slither_actors.dispatch._run_plan import RunPlan
from slither_actors.dispatch.messages import RunOpened, RunRefused
from slither_actors.errors import CallTimeout, NoProcess, NotDecodable
from slither_actors.logs import about
from slither_actors.otp.endpoint import Ended, Endpoint, HungUp
from slither_actors.transport.hub import Undelivered, Unread

_log = logging.getLogger("slither_actors.dispatch.run")

# A dispatcher runs no user code, so it answers at once or never. A stage answers when it has done what it is at, which
# may take what it takes; this often a warning says who is waited for.
_OPEN_LIMIT_S = 30.0


def await_opened(endpoint: Endpoint, plan: RunPlan, late: float) -> None:
    """Until the nodes have answered, or it is late, which is for the run to say.

    Raises:
        NoProcess: a node is gone already. SlitherError: a node refuses. CallTimeout: a dispatcher does not answer.
        NotDecodable: a node cannot read its plan.
    """
    names = {node.ref.address: node.ref.name for node in plan.nodes}
    missing = dict(names)
    dispatchers = {node.ref.address for node in plan.nodes if isinstance(node.plan, DispatchPlan)}
    deadline = endpoint.clock() + _OPEN_LIMIT_S
    while missing:
        received = endpoint.receive(min(deadline, late) - endpoint.clock())
        if received is None:
            if endpoint.clock() >= late:
                return
            silent = [name for address, name in missing.items() if address in dispatchers]
            if silent:
                raise CallTimeout(silent[0], _OPEN_LIMIT_S)
            name = next(iter(missing.values()))
            text = "a run waits for %s, which is busy with an item; stop_pipe() replaces its processes"
            _log.warning(text, name, extra=about(run=plan.run, child=name))
            deadline += _OPEN_LIMIT_S
            continue
        news, sender = received
        if isinstance(news, RunOpened) and news.run == plan.run:
            missing.pop(sender, None)
        elif isinstance(news, RunRefused) and news.run == plan.run:
            raise news.error
        elif isinstance(news, Unread) and news.head == ("OpenRun", plan.run) and sender in missing:
            raise NotDecodable(f"the plan of {missing[sender]}", news.error)
        elif isinstance(news, Ended | HungUp | Undelivered) and sender in names:  # also one that was ready already
            raise NoProcess(names[sender])
