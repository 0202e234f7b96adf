"""A pipe for items that have nothing to do with each other: what ends the run elsewhere ends one item here, and none
waits for those before it."""

from __future__ import annotations

from typing import Any

import attrs

from slither_actors.pipe.declarations import StageDeclaration, WorkerDeclaration
from slither_actors.pipe.definition import PipeDefinition
from slither_actors.policy import Halt, Policy, Retry, Skip, skips


def outlived(policy: Policy) -> Policy:
    """The same policy, but that it skips where it would halt."""
    if isinstance(policy, Halt):
        return Skip()
    return policy if skips(policy) or not isinstance(policy, Retry) else attrs.evolve(policy, then=Skip())


@attrs.frozen
class PerItem:
    """A pipe, and what its error policies mean for a single item.

    Attributes:
        definition: the same pipe, under policies that every run outlives. Its worker stages give results as they
            complete, unless they say something else themselves.
        halting: names of the stages whose own policies end a run.
    """

    definition: PipeDefinition
    halting: frozenset[str]

    @classmethod
    def of(cls, definition: PipeDefinition, default: Any) -> PerItem:
        """Args: definition: the pipe. default: the policy of stages for which it says nothing."""
        policies = {stage.name: definition.policy(stage, default) for stage in definition.stages}
        stages = tuple(
            attrs.evolve(stage, declaration=_alone(stage.declaration, policies[stage.name]))
            for stage in definition.stages
        )
        halting = frozenset(name for name, policy in policies.items() if not skips(policy))
        return cls(attrs.evolve(definition, stages=stages), halting)


def _alone(declaration: StageDeclaration, policy: Policy) -> StageDeclaration:
    if isinstance(declaration, WorkerDeclaration):
        options = {**declaration.options, "ordering": declaration.options.get("ordering") or "as_completed"}
        declaration = attrs.evolve(declaration, options=options)
    return attrs.evolve(declaration, on_error=outlived(policy))
