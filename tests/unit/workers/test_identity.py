"""Where items keep their ids: what user code answers is found under the id of the item that it was made of."""

from slither_actors import Call, Context, Executor, Item
from slither_actors.item import build_items, columns
from slither_actors.workers._identity import in_its_place, in_order_of
from slither_actors.workers.executor import batch_runner, code_of

A, B, C = (Item(number, payload) for number, payload in ((1, "a"), (2, "b"), (3, "c")))


def test_one_with_an_id_of_its_own_gets_that_of_its_origin():
    made = in_its_place(Item(9, "new", {"k": 1}, "out", 7), Item(1, "old", parent_id=4, index=2))
    assert made == Item(1, "new", {"k": 1}, "out", 4, 2)
    assert (made.payload, made.meta) == ("new", {"k": 1})
    assert in_its_place(A, A) is A


def test_answers_stand_beside_their_items_in_whatever_order_they_come():
    assert in_order_of([A, B, C], [C, A, B]) == [A, B, C]
    assert in_order_of([A, B, C], ["x", "y", "z"]) == ["x", "y", "z"]
    other = Item(9, "new")
    assert in_order_of([A, B, C], [other, C, A]) == [A, other, C]
    assert in_order_of([A, B], [A, A.with_payload("twice")]) == [A, A.with_payload("twice")]


class Turning(Executor):
    """Gives items back in another order, and one in place of another."""

    def execute_batch(self, items, ctx):
        return [Item.wrap("new"), *reversed(items[:-1])]


def test_an_executor_that_turns_its_batch_round_harms_nobody():
    rows = columns([A, B, C])
    made = build_items(*batch_runner(code_of(Turning), keeps_ids=True)(rows, Context()))
    assert [(item.id, item.payload) for item in made] == [(1, "a"), (2, "b"), (3, "new")]
    plain = build_items(*batch_runner(code_of(Turning))(rows, Context()))
    assert [item.payload for item in plain] == ["new", "b", "a"], "elsewhere they stay as they are"


def test_functions_are_none_the_wiser():
    run = batch_runner(code_of(Call(lambda payloads: payloads)), keeps_ids=True)
    assert list(run(columns([A, B]), Context())[0]) == [1, 2]
