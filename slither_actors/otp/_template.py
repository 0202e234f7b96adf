"""Children of one kind: a template, to which each child adds arguments of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import attrs

from slither_actors._codec import Frame
from slither_actors.errors import InvalidSpec
from slither_actors.otp.child import ChildSpec, MoreArguments, SupervisorOptions, check_childspecs


class Template:
    """Pure: makes the specs of a supervisor's children, each with an id that is used once.

    Args:
        spec: What all children have in common.
    """

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self._numbers = itertools.count(1)

    def make(self, more: Frame | tuple[Any, ...]) -> ChildSpec:
        """The spec of the next child, whose arguments are those of the template and then these."""
        spec = self.spec
        return attrs.evolve(spec, id=f"{spec.id}-{next(self._numbers)}", args=MoreArguments(spec.args, more))


def check_change(
    old: SupervisorOptions, template: Template | None, new: SupervisorOptions, specs: Iterable[ChildSpec]
) -> tuple[ChildSpec, ...]:
    """Check what a running supervisor is to become; the same specs.

    Raises:
        InvalidSpec: As `check_childspecs`, or `dynamic` would change, or there is no template to replace.
    """
    specs = check_childspecs(new, specs)
    if new.dynamic is not old.dynamic:
        allowed = "what the supervisor was started with"
        raise InvalidSpec("SupervisorOptions", "dynamic", repr(new.dynamic), allowed, "invalid_dynamic")
    if new.dynamic and specs and template is None:
        allowed = "none: the supervisor was started without a template"
        raise InvalidSpec("supervisor", "children", specs[0].id, allowed, "bad_start_spec")
    return specs
