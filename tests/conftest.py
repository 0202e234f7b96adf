"""The tests import the package as it is installed, or else the checkout; so do the processes that they start.

The repository root stands behind everything else on the path, since it holds the package too. Processes learn the same
places from their environment. One that is started with `-m` or `-c` takes `-P` beside it: the working folder, which is
the checkout, would stand in front otherwise.
"""

import os
import signal
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

ROOT = str(Path(__file__).parents[1])
sys.path.append(ROOT)

import slither_actors  # noqa: E402 - from the place that the line above leaves to it

PACKAGE = str(Path(slither_actors.__file__).parents[1])
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [PACKAGE, ROOT, os.environ.get("PYTHONPATH")]))

# What a shell configures is not what is tested.
for name in [name for name in os.environ if name.startswith("SLITHER_")]:
    del os.environ[name]

# A shell starts what it runs in the background deaf to Ctrl-C, and programs hand that on to those that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A change passes or fails by what it does: its random cases are the same each time, and a busy machine makes none too
# slow. Whoever looks for others says `--hypothesis-profile=search`, with a `--hypothesis-seed` to have them again.
settings.register_profile("fixed", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", settings.get_profile("fixed"), derandomize=False, print_blob=True)
settings.load_profile("fixed")
