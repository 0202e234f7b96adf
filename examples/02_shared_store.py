"""Shared store: tables that every process reads in place, a counter, and a reload that nobody sees half of.

Run it:

    python examples/02_shared_store.py

You should see:

    3 apples for 9, 2 pears for 8
    5 pieces were asked for, by all workers together
    after the reload 3 apples for 30, 2 pears for 80
    readers saw mixed prices 0 times
"""

import slither_actors as slither


class Shop(slither.Store):
    prices = slither.Table()
    figures = slither.Table()

    def load(self, tables):
        """Runs in the owner's process, at the start and at every reload; what `self` reads is what was before."""
        times = self.figures.get("loads", 0) + 1
        tables.figures.bulk_insert([("loads", times), ("pieces", self.figures.get("pieces", 0))])
        tables.prices.bulk_insert([("apple", 3 if times % 2 else 10), ("pear", 4 if times % 2 else 40)])


def price(orders, ctx):
    """Runs in worker processes, which read the table without asking anybody; writes go to the owner."""
    shop = ctx.store(Shop)
    for _, pieces in orders:
        shop.figures.increment("pieces", pieces)
    return [f"{pieces} {fruit}s for {pieces * shop.prices[fruit]}" for fruit, pieces in orders]


def look(times, ctx):
    """How often both prices are not of one load; meanwhile the store is reloaded."""
    mixed = 0
    for _ in times:
        with ctx.store(Shop).snapshot() as shop:
            mixed += (shop.prices["apple"], shop.prices["pear"]) not in ((3, 4), (10, 40))
    return [mixed] * len(times)


with slither.start(stores=[Shop], pools={"default": 2}) as system:
    shop = system.store(Shop)
    orders = [("apple", 3), ("pear", 2)]
    print(", ".join(item.payload for item in system.dispatch(orders, price, batch_size=1)))
    print(shop.figures["pieces"], "pieces were asked for, by all workers together")
    shop.reload()
    print("after the reload", ", ".join(item.payload for item in system.dispatch(orders, price, batch_size=1)))
    with system.stream(range(2_000), look, batch_size=100) as stream:
        mixed = [shop.reload() and item.payload for number, item in enumerate(stream) if number % 100 == 0]
    print("readers saw mixed prices", sum(mixed), "times")
