"""`python -m slither_actors` is the program `slither`."""

from slither_actors.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
