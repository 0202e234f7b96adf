"""The composition root: `start` grows the tree, `System` is the service's handle of it."""

from slither_actors.system.start import start
from slither_actors.system.system import System

__all__ = ["System", "start"]
