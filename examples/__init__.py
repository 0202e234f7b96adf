"""Complete programs written with slither_actors, run by `slither example NAME`.

Each example is a package here, so that its worker functions can be imported by name in the worker processes. It uses
the public names of `slither_actors` and its own modules, nothing else of the library, and exposes three names:

    SUMMARY                      one line for `slither example`
    add_options(parser)          adds its options to an `argparse` parser, which has `--json` already
    run(args, console) -> int    runs, prints, returns the exit code; `console` is a `contract.Display`, and where
                                 `args.json` is set the result is one JSON object

What an example needs beyond the library (scikit-learn, Pillow) it imports inside `run` or in its worker module, so that
listing the examples needs none of it.
"""
