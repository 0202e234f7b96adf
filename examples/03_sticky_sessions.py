"""Sticky sessions: what belongs together goes to one worker, which remembers it until the session ends.

Run it:

    python examples/03_sticky_sessions.py

You should see, beside what the supervisors log on standard error:

    ann: ['1: tea', '2: tea milk', '3: tea milk bread']
    bob: ['1: rice', '2: rice beans']
    two customers, two workers: True
    ann's worker dies: SessionLost
    bob goes on: 3: rice beans salt
    ann again: 1: cake
"""

import os
import signal

import slither_actors as slither


def begin(ctx):
    """The start of a session in its worker."""
    ctx.state["basket"] = []


def put(things, ctx):
    """One batch of a session runs at a time, so nothing here needs a lock."""
    answers = []
    for thing in things:
        ctx.state["basket"].append(thing)
        answers.append(f"{len(ctx.state['basket'])}: {' '.join(ctx.state['basket'])}")
    return answers


def where(questions):
    return [os.getpid()] * len(questions)


with slither.start(pools={"default": 2}) as system:
    bob = system.session("bob", session_start=begin)
    try:
        with system.session("ann", session_start=begin) as ann:
            print("ann:", [item.payload for item in ann.dispatch(["tea", "milk", "bread"], put, batch_size=1)])
            print("bob:", [item.payload for item in bob.dispatch(["rice", "beans"], put, batch_size=1)])
            pids = [session.submit("?", where).result() for session in (ann, bob)]
            print("two customers, two workers:", len(set(pids)) == 2)
            os.kill(pids[0], signal.SIGKILL)
            ann.dispatch(["butter"], put)
    except (slither.SessionLost, slither.DispatchError) as error:
        lost = error if isinstance(error, slither.SessionLost) else error.reason
        print("ann's worker dies:", type(lost).__name__)
    print("bob goes on:", bob.submit("salt", put).result())
    bob.close()
    with system.session("ann", session_start=begin) as ann:
        print("ann again:", ann.submit("cake", put).result())
