"""What is not paid for by who does not use it."""

import subprocess
import sys

from slither_actors import testing


def test_a_system_without_stores_imports_none_of_what_they_are_made_of() -> None:
    code = """
import sys
import slither_actors.system.grow, slither_actors.workers.pool, slither_actors.dispatch.dispatcher
import slither_actors.pipe.builtin, slither_actors.pipe.pipe
print(*sorted({"lmdb", "slither_actors.store.views", "slither_actors.store.handle"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []


def test_a_chaos_imports_nothing_of_what_a_simulation_is_made_of() -> None:
    code = """
import sys
import slither_actors.testing.chaos
print(*sorted({"slither_actors.testing.simulation", "slither_actors.system.system", "thespian"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []


def test_every_name_of_the_testing_package_is_there_and_no_other() -> None:
    assert sorted(testing._HOMES) == testing.__all__
    assert all(hasattr(testing, name) for name in testing.__all__)
    assert set(testing.__all__) <= set(dir(testing))
    assert not hasattr(testing, "Simulator")
