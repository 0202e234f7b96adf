"""Complete programs written with slither_actors, run by `slither example NAME`.

Each of these examples is a package here, so that its worker functions can be imported by name in the worker processes.
It uses the public names of `slither_actors` and its own modules, nothing else of the library, and exposes these names:

    SUMMARY                      one line for `slither example`
    NEEDS                        what it imports beyond the library, where that is something: {"PIL": "Pillow>=11"}
    add_options(parser)          adds its options to an `argparse` parser, which has `--json` already
    run(args, console) -> int    runs, prints, returns the exit code; `console` is a `contract.Display`, and where
                                 `args.json` is set the result is one JSON object

What that package imports when it is listed is the standard library and `contract` alone; `run` imports the rest.

Its module `baseline` does the same work in other ways, for `slither baseline NAME`:

    SIZE                         how many inputs by default
    WORK                         the modules beside it that say what is done: their lines do not count as coordination
    make(size)                   the inputs
    judge(expected, got) -> str  what is wrong with a result, by that of the plain loop; nothing where it is right
    plain_loop, naive_threads, careful_threads, process_pool, with_slither
                                 functions of the inputs and a number of workers; results are what JSON can say

It imports the library inside `with_slither` alone, so that any Python can run its threads.

A file whose name begins with a number is a program of its own, for `python examples/NAME.py`: it takes no options and
says at its top what it prints. `NEEDS` may stand in it too.
"""
