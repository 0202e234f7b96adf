"""What tests of examples share with those of systems."""

from tests.system.conftest import base

__all__ = ["base"]
