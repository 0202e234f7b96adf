"""Orders to a run."""

from slither_actors.dispatch._orders import Orders


def test_whoever_interrupts_the_giving_of_an_order_may_give_another_one():
    """The handler of a signal may stop the system in the middle of it."""
    given = []

    def wake():
        if not given:
            given.append(True)
            orders.drain("the handler")

    orders = Orders(wake)
    orders.cancel()
    assert (orders.cancelled, orders.draining) == (True, "the handler")
