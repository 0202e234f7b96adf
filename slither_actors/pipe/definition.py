"""A pipe as plain data: its stages in order, where each of them leads, its outputs and error policies. All checked."""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from slither_actors._validators import check_known
from slither_actors.config import DispatchConfig
from slither_actors.dispatch.options import DispatchOptions, WorkerOptions
from slither_actors.dispatch.strategy import FixedBatch, Strategy
from slither_actors.errors import DefinitionError, InvalidOption, shorten
from slither_actors.item import DEFAULT_ROUTE
from slither_actors.pipe._burst import check_burst, within_burst
from slither_actors.pipe.declarations import FLOW_OPTIONS, RouterDeclaration, StageDeclaration, WorkerDeclaration
from slither_actors.pipe.outputs import Outputs
from slither_actors.policy import Policy, as_policy, way_out
from slither_actors.store.access import name_of

_STAGE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@attrs.frozen
class StageSpec:
    """One stage of a pipe. `next` is where an item goes by itself: a later stage or an output."""

    name: str
    declaration: StageDeclaration
    next: str

    @property
    def strategy(self) -> Strategy | None:
        """What forms the batches of a worker stage, if more than their size counts."""
        if not isinstance(self.declaration, WorkerDeclaration):
            return None
        strategy: Strategy | None = self.declaration.options.get("strategy")
        return strategy if strategy is not None and strategy.needs_former else None


@attrs.frozen
class PipeDefinition:
    """What a pipe class declares.

    Attributes:
        name: the class's name.
        stages: in the order in which they stand.
        outputs: names of the outputs; "default" is always there.
        on_error: policies by stage name, "*" for all others.
        stores: names of the stores whose session views its runs see.
    """

    name: str
    stages: tuple[StageSpec, ...]
    outputs: tuple[str, ...]
    on_error: dict[str, Policy]
    stores: tuple[str, ...] = ()

    def stage(self, name: str) -> StageSpec:
        """The stage of that name."""
        return next(stage for stage in self.stages if stage.name == name)

    def later_stages(self, name: str) -> tuple[StageSpec, ...]:
        """The stages behind `name`."""
        position = [stage.name for stage in self.stages].index(name)
        return self.stages[position + 1 :]

    def policy(self, stage: StageSpec, default: Any) -> Policy:
        """The error policy that holds for a stage: its own option, `on_error[stage]`, `on_error["*"]`, `default`."""
        if stage.declaration.on_error is not None:
            return as_policy(stage.declaration.on_error, stage.name)
        return self.on_error.get(stage.name) or self.on_error.get("*") or as_policy(default, self.name)

    def dispatch_options(self, stage: StageSpec, config: DispatchConfig) -> DispatchOptions:
        """The options of a worker stage."""
        assert isinstance(stage.declaration, WorkerDeclaration)
        given = stage.declaration.options | {"on_error": self.policy(stage, config.default_on_error)}
        given = within_burst(stage.declaration, given, config)
        return DispatchOptions.of(given, config, f"{self.name}.{stage.name}")

    def batch_size(self, stage: StageSpec, config: DispatchConfig) -> int:
        """Items that a stage may be given at once."""
        return self.dispatch_options(stage, config).size if isinstance(stage.declaration, WorkerDeclaration) else 1


def define(
    name: str, declared: Mapping[str, StageDeclaration], outputs: Any, on_error: Any, stores: Any
) -> PipeDefinition:
    """Check a pipe and put it into its final form.

    Args:
        name: the class's name.
        declared: stages by name, in order.
        outputs: what the class says about outputs.
        on_error: what the class says about errors.
        stores: what the class says about stores.

    Raises:
        DefinitionError: something does not fit; the error names pipe, stage, what was got and what is allowed.
    """
    if not declared:
        raise DefinitionError(f"pipe {name}", "it has no stage", "local, worker, router and stage declare one")
    store_names = _check_stores(name, stores)
    output_names = _check_outputs(name, outputs, declared)
    policies = _check_policies(name, on_error, declared)
    names = list(declared)
    stages = []
    for position, (stage_name, declaration) in enumerate(declared.items()):
        reachable = [*names[position + 1 :], *output_names]
        _check_stage(name, stage_name, declaration, reachable)
        _check_way_out(name, stage_name, declaration, policies, reachable)
        following = names[position + 1] if position + 1 < len(names) else DEFAULT_ROUTE
        stages.append(StageSpec(stage_name, declaration, declaration.then or following))
    _check_reached(name, stages, policies)
    _check_strategies(name, stages, policies)
    return PipeDefinition(name, tuple(stages), output_names, policies, store_names)


def _check_reached(name: str, stages: list[StageSpec], policies: Mapping[str, Policy]) -> None:
    """Behind a worker stage an item goes one way, or where a policy routes it; others may be reached by none."""
    reached = {stages[0].name}
    for number, stage in enumerate(stages):
        if stage.name not in reached:
            before = stages[number - 1].name
            problem = f"no item can reach it, since the worker stage {before} leads to {stages[number - 1].next!r}"
            raise DefinitionError(f"pipe {name}, stage {stage.name}", problem, "a stage that another one leads to")
        later = [one.name for one in stages[number + 1 :]]
        routed = _way_out(stage.name, stage.declaration, policies)
        ways = {stage.next, routed} if isinstance(stage.declaration, WorkerDeclaration) else later
        reached |= {way for way in ways if isinstance(way, str)}


def _check_outputs(name: str, outputs: Any, declared: Mapping[str, Any]) -> tuple[str, ...]:
    where = f"pipe {name}, outputs"
    if isinstance(outputs, str) or not isinstance(outputs, Iterable):
        raise DefinitionError(where, f"got {shorten(outputs)}", "a list of names")
    checked = [DEFAULT_ROUTE]
    for output in outputs:
        if not _is_attribute(output):
            raise DefinitionError(where, f"{shorten(output)} is no output name", "identifiers that begin with a letter")
        if output in declared:
            raise DefinitionError(where, f"{output!r} is the name of a stage too", "names that no stage has")
        if output != DEFAULT_ROUTE and hasattr(Outputs, output):
            raise DefinitionError(where, f"{output!r} is an attribute of every result", "another name")
        if output in checked and output != DEFAULT_ROUTE:
            raise DefinitionError(where, f"{output!r} stands twice", "each name once")
        if output not in checked:
            checked.append(output)
    return tuple(checked)


def _check_stores(name: str, stores: Any) -> tuple[str, ...]:
    where = f"pipe {name}, stores"
    if isinstance(stores, str | type) or not isinstance(stores, Iterable):
        raise DefinitionError(where, f"got {shorten(stores)}", "a list of stores, such as [FeatureStore]")
    names: list[str] = []
    for store in stores:
        try:
            names.append(name_of(store, where))
        except InvalidOption as error:
            raise DefinitionError(where, f"got {error.got}", error.allowed) from None
        if names.count(names[-1]) > 1:
            raise DefinitionError(where, f"{names[-1]!r} stands twice", "each store once")
    return tuple(names)


def _is_attribute(name: Any) -> bool:
    is_name = isinstance(name, str) and name.isidentifier()
    return is_name and not name.startswith("_") and not keyword.iskeyword(name)


def _check_policies(name: str, on_error: Any, declared: Mapping[str, Any]) -> dict[str, Policy]:
    where = f"pipe {name}, on_error"
    if isinstance(on_error, str):
        on_error = {"*": on_error}
    if not isinstance(on_error, Mapping):
        raise DefinitionError(where, f"got {shorten(on_error)}", "a mapping of stage name, or '*', to policy")
    for key in on_error:
        if key != "*" and key not in declared:
            raise DefinitionError(
                where, f"there is no stage {shorten(key)}{_nearest(key, declared)}", _listed(declared)
            )
    try:
        return {key: as_policy(value, where, key) for key, value in on_error.items()}
    except InvalidOption as error:
        raise DefinitionError(where, f"{error.option} is {error.got}", error.allowed) from None


def _check_stage(pipe: str, name: str, declaration: StageDeclaration, reachable: list[str]) -> None:
    where = f"pipe {pipe}, stage {name}"
    if name == DEFAULT_ROUTE:
        raise DefinitionError(where, "this is the name of an output too", "another name")
    if _STAGE_NAME.fullmatch(name) is None:  # it becomes the name of a process
        raise DefinitionError(where, "this is no name for a stage", "letters, digits and _, at most 64")
    destinations = [declaration.then] if declaration.then is not None else []
    if isinstance(declaration, RouterDeclaration):
        destinations += [destination for _, destination in declaration.routes]
    for destination in destinations:
        if destination not in reachable:
            problem = f"destination {shorten(destination)} is not declared{_nearest(destination, reachable)}"
            raise DefinitionError(where, problem, f"a later stage or an output: {_listed(reachable)}")
    try:
        if declaration.on_error is not None:
            as_policy(declaration.on_error, where)
        if isinstance(declaration, WorkerDeclaration):
            check_known(where, declaration.options, (*WorkerOptions.__annotations__, *FLOW_OPTIONS))
            check_burst(declaration, where)
    except InvalidOption as error:
        raise DefinitionError(where, f"option {error.option} is {error.got}", error.allowed) from None


def _check_way_out(
    pipe: str, stage: str, declaration: StageDeclaration, policies: Mapping[str, Policy], reachable: list[str]
) -> None:
    """Where the policy that holds for a stage routes items to."""
    to = _way_out(stage, declaration, policies)
    if isinstance(to, str) and to not in reachable:
        problem = f"its error policy routes to {shorten(to)}, which it cannot reach{_nearest(to, reachable)}"
        raise DefinitionError(
            f"pipe {pipe}, stage {stage}", problem, f"a later stage or an output: {_listed(reachable)}"
        )


def _way_out(stage: str, declaration: StageDeclaration, policies: Mapping[str, Policy]) -> object:
    own = declaration.on_error
    policy = as_policy(own, stage) if own is not None else policies.get(stage) or policies.get("*")
    return way_out(policy) if policy is not None else None


def _check_strategies(pipe: str, stages: list[StageSpec], policies: Mapping[str, Policy]) -> None:
    """The stage before forms the batches, where all of its items pass one place: a dispatcher runs no user code, and
    what replicas make comes together in a balancer, which runs none either."""
    formed = {stage.name: stage for stage in stages if not isinstance(stage.strategy, FixedBatch | None)}
    for before in stages:
        declaration = before.declaration
        if not isinstance(declaration, WorkerDeclaration) and declaration.replicas == 1:
            continue
        what = "worker stage" if isinstance(declaration, WorkerDeclaration) else "replicas of stage"
        routes = declaration.routes if isinstance(declaration, RouterDeclaration) else ()
        for behind in (before.next, _way_out(before.name, declaration, policies), *(to for _, to in routes)):
            if isinstance(behind, str) and behind in formed:
                problem = f"option strategy is {shorten(formed[behind].strategy)}, behind {what} {before.name!r}"
                allowed = "None or FixedBatch there; a local stage between the two can form the batches"
                raise DefinitionError(f"pipe {pipe}, stage {behind}", problem, allowed)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _nearest(name: Any, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(name), list(names), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""
