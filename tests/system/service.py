"""A service in a process of its own: starts a tree, says who is who, and does what its standard input says."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time

from tests.system.trees import Tree


def who(tree: Tree) -> dict[str, int]:
    pids = {name: info.ref.pid for name, info in tree.processes().items() if info.alive}
    return {**pids, "service": os.getpid(), "host": tree.host.pid, "admin": tree.host.admin}


def say(what: object) -> None:
    print(json.dumps(what), flush=True)


def main() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored where the tests were started by nohup
    trees: list[Tree] = []
    # the tree must outlive the thread that started it
    starter = threading.Thread(target=lambda: trees.append(Tree.up(sys.argv[1])))
    starter.start()
    starter.join()
    (tree,) = trees
    say({"who": who(tree), "directory": str(tree.directory)})
    for line in sys.stdin:
        match line.split():
            case ["who"]:
                try:
                    say({"who": who(tree)})
                except Exception as error:
                    say({"error": type(error).__name__})
            case ["call", name, *request]:
                say({"answer": tree.call(name, *request)})
            case ["raise"]:
                raise RuntimeError("as you wish")
            case ["exit"]:
                raise SystemExit(3)
            case ["vanish"]:
                os._exit(3)
            case ["return"]:
                return
            case ["fork"]:  # a child that lives on, with copies of all our descriptors
                if os.fork() == 0:
                    time.sleep(60)
                    os._exit(0)
                say({})
            case ["stop"]:
                before = time.monotonic()
                tree.end()
                say({"seconds": time.monotonic() - before})


if __name__ == "__main__":
    main()
