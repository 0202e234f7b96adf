"""The repository root behind everything else on the path: processes that tests start import the tests' helpers."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
