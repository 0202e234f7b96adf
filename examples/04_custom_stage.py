"""Custom stage: a plug-in with options, a state per run, and its own answers, tested without any process.

Run it:

    python examples/04_custom_stage.py

You should see:

    by hand: 18.0, 18.5, Drop
    alarms: [('hall', 32.0)]
    average: [('hall', 20.0), ('yard', 5.0), ('hall', 21.0), ('yard', 6.0)]
    dropped: 1
    another run starts anew: [('hall', 0.0)]
"""

import attrs

import slither_actors as slither


class Smooth(slither.Stage):
    """Moving averages per sensor; what leaps goes to another output, and repetitions are dropped."""

    @attrs.frozen
    class Options:
        leap: float = 5.0

    def setup(self, ctx):
        self.handled = 0  # once per process: shared by all runs

    def handle_item(self, item, ctx):
        self.handled += 1
        sensor, value = item.payload
        before = ctx.state.get(sensor)  # one dict per run
        if before == value:
            return slither.Drop("the same as before")
        if before is not None and abs(value - before) > self.options.leap:
            return slither.RouteTo("alarms", (sensor, value))
        ctx.state[sensor] = value if before is None else (value + before) / 2
        return sensor, ctx.state[sensor]


class Watch(slither.Pipe):
    smooth = slither.stage(Smooth, leap=10.0)
    outputs = ["alarms"]


# The hooks are plain methods, so a test needs neither a process nor a pipe.
stage, ctx = Smooth(leap=1.0), slither.Context()
stage.setup(ctx)
answers = [stage.handle_item(slither.Item.wrap(("hall", value)), ctx) for value in (18.0, 19.0, 18.5)]
print(f"by hand: {answers[0][1]}, {answers[1][1]}, {type(answers[2]).__name__}")

readings = [("hall", 20.0), ("yard", 5.0), ("hall", 22.0), ("hall", 32.0), ("yard", 7.0), ("yard", 6.0)]
with slither.start(pools={}) as system:
    outputs = system.run_pipe(Watch, readings)
    print("alarms:", [item.payload for item in outputs.alarms])
    print("average:", [item.payload for item in outputs.default])
    print("dropped:", len(outputs.dropped))
    again = system.run_pipe(Watch, [("hall", 0.0)])
    print("another run starts anew:", [item.payload for item in again.default])
