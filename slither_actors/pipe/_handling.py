"""The hooks of a stage and its error policy: which items are handled, with which, and how often.

Both generators yield behind each item that becomes no payload or took a while, and before each further attempt: the
seconds to wait then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from slither_actors.context import Context
from slither_actors.errors import ItemError, ResultCountMismatch
from slither_actors.item import Item
from slither_actors.pipe._answers import is_payload
from slither_actors.pipe._sending_on import send_on
from slither_actors.pipe._stage_run import StageRun
from slither_actors.policy import Verdict
from slither_actors.workers._identity import in_order_of
from slither_actors.workers.executor import item_error

Hook = Callable[[Item, Context], Any]
Put = Callable[[StageRun, list[Item], list[Any]], None]

# What a hook answered for an item, or why it did not.
_Answer = tuple[Any, ItemError | None]

# For this long payloads are collected before others get their turn; one that takes longer comes alone.
_STRETCH_S = 0.002

# Most payloads, known at a glance.
_PLAIN = frozenset({str, bytes, int, float, bool, dict, list, tuple, set, type(None)})


def singly(
    hook: Hook, run: StageRun, items: list[Item], look: Hook | None = None, put: Put = send_on
) -> Iterator[float]:
    """Items one by one. Payloads in their places go on together, since that costs a fifth.

    Args:
        look: what is asked instead of the hook, as long as it gives something plain for `put`, and does not raise.
        put: sends on items for which it did.
    """
    rest, at = iter(items), 0
    while at < len(items):
        made, last = _stretch(look or hook, run, rest)
        put(run, items[at : at + len(made)], made)
        at += len(made)
        if last is not None:
            attempts = 1
            while _settled(run, items[at], last, attempts) is Verdict.RETRY:
                yield run.pause_after(attempts)
                attempts += 1
                last = _asked(hook, run, items[at])
            at += 1
        yield 0.0


def _stretch(hook: Hook, run: StageRun, rest: Iterator[Item]) -> tuple[list[Any], _Answer | None]:
    """Payloads for the next items, as many as come in a row and within a moment, and then an answer of another kind."""
    context, clock = run.context, run.clock
    made: list[Any] = []
    end = clock() + _STRETCH_S
    for item in rest:
        try:
            answer = hook(item, context)
        except BaseException as error:
            return made, (None, item_error(error))
        if type(answer) not in _PLAIN and not is_payload(answer):
            return made, (answer, None)
        made.append(answer)
        if clock() > end:
            break
    return made, None


def _asked(hook: Hook, run: StageRun, item: Item) -> _Answer:
    try:
        return hook(item, run.context), None
    except BaseException as error:
        return None, item_error(error)


def _settled(run: StageRun, item: Item, answer: _Answer, attempts: int) -> Verdict | None:
    value, error = answer
    return run.outcome(item, value, attempts) if error is None else run.failure([item], error, attempts)


def together(
    hook: Callable[[Sequence[Item], Context], Sequence[Any]], name: str, run: StageRun, items: list[Item]
) -> Iterator[float]:
    """The same in one call, and in further ones as the policy says; `name` is how errors call the hook."""
    todo: deque[tuple[list[Item], list[Any] | None, int]] = deque([(items, None, 1)] if items else [])
    while todo:
        part, answers, attempts = todo.popleft()
        decision = None
        if answers is None:
            try:
                answers = _answers(hook(list(part), run.context), name, part, run)  # it may use its list up
            except BaseException as error:
                decision = run.failure(part, item_error(error), attempts)
        if decision is Verdict.SPLIT:
            half = len(part) // 2
            todo.extendleft([(part[half:], None, 1), (part[:half], None, 1)])
        elif decision is Verdict.RETRY:
            todo.appendleft((part, None, attempts + 1))
        if answers is None:
            yield run.pause_after(attempts) if decision is Verdict.RETRY else 0.0
            continue
        done = 0
        while done < len(part):
            first = done
            while done < len(part) and is_payload(answers[done]):
                done += 1
            send_on(run, part[first:done], answers[first:done])
            if done < len(part):
                done += 1
                if run.outcome(part[done - 1], answers[done - 1], attempts) is Verdict.RETRY:
                    todo.extendleft([(part[done:], answers[done:], attempts), ([part[done - 1]], None, attempts + 1)])
                    yield run.pause_after(attempts)
                    break
            yield 0.0


def _answers(given: Sequence[Any], name: str, items: list[Item], run: StageRun) -> list[Any]:
    answers = list(given)
    if len(answers) != len(items):
        raise ResultCountMismatch(name, len(items), len(answers))
    return in_order_of(items, answers) if run.plan.keeps_ids else answers
