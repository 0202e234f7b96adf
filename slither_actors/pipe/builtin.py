"""The stages that `local` and `router` declare."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from slither_actors.context import Context
from slither_actors.item import Item
from slither_actors.outcome import Emit, RouteTo
from slither_actors.pipe._handling import Hook, singly
from slither_actors.pipe._sending_on import sort_out
from slither_actors.pipe._stage_run import StageRun
from slither_actors.pipe.declarations import LocalDeclaration, RouterDeclaration, StageDeclaration, takes_context
from slither_actors.pipe.pipe import PipeType
from slither_actors.pipe.stage import Stage


def _declared(stage: Stage) -> StageDeclaration:
    """What the pipe says about the stage, found in its process."""
    setting = stage._setting
    assert setting is not None
    assert setting.definition is not None
    loaded: PipeType | StageDeclaration = setting.definition.load()
    return loaded.definition.stage(setting.name).declaration if isinstance(loaded, PipeType) else loaded


class LocalStage(Stage):
    """Runs the function of a `local` declaration."""

    def setup(self, ctx: Context) -> None:
        declaration = _declared(self)
        assert isinstance(declaration, LocalDeclaration)
        self._hook = _hook_of(declaration.function, declaration.many)

    def handle_item(self, item: Item, ctx: Context) -> Any:
        return self._hook(item, ctx)

    def _handle(self, run: StageRun, items: list[Item]) -> Iterator[float]:
        return singly(self._hook, run, items)


def _hook_of(function: Callable[..., Any], many: bool) -> Hook:
    """What is called for an item: the function itself where that is possible."""
    with_context: Hook = function if takes_context(function) else lambda item, ctx: function(item)
    return (lambda item, ctx: Emit(with_context(item, ctx))) if many else with_context


class RouterStage(Stage):
    """Sends each item where the first predicate that is true of it says."""

    def setup(self, ctx: Context) -> None:
        declaration = _declared(self)
        assert isinstance(declaration, RouterDeclaration)
        self._routes = declaration.routes

    def handle_item(self, item: Item, ctx: Context) -> Any:
        for predicate, destination in self._routes:
            if predicate(item):
                return RouteTo(destination, item)
        return item

    def _handle(self, run: StageRun, items: list[Item]) -> Iterator[float]:
        routes, otherwise = self._routes, run.plan.next

        def look(item: Item, ctx: Context) -> str:
            for predicate, destination in routes:
                if predicate(item):
                    return destination
            return otherwise

        return singly(self.handle_item, run, items, look, sort_out)
