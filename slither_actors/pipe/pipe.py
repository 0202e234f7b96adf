"""`Pipe`: the class whose body declares a topology."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from slither_actors.errors import DefinitionError
from slither_actors.pipe._body import OPTIONS, check_body
from slither_actors.pipe._drawing import drawn
from slither_actors.pipe.declarations import StageDeclaration
from slither_actors.pipe.definition import PipeDefinition, define
from slither_actors.policy import AnyPolicy


class _Body(dict[str, Any]):
    """The namespace of a class body; a stage that is declared twice is noticed here, where the second one arrives."""

    def __init__(self, pipe: str) -> None:
        super().__init__()
        self._pipe = pipe

    def __setitem__(self, key: str, value: Any) -> None:
        if key in self and (isinstance(value, StageDeclaration) or isinstance(self[key], StageDeclaration)):
            raise DefinitionError(f"pipe {self._pipe}, stage {key}", "this name is used twice", "each name once")
        super().__setitem__(key, value)


class PipeType(type):
    """Checks a pipe when its class is defined."""

    definition: PipeDefinition

    @classmethod
    def __prepare__(cls, name: str, bases: tuple[type, ...], /, **kwargs: Any) -> _Body:
        return _Body(name)

    def __new__(metacls, name: str, bases: tuple[type, ...], body: Mapping[str, Any], /, **kwargs: Any) -> PipeType:
        cls = super().__new__(metacls, name, bases, dict(body), **kwargs)
        # A class that travels by value is made empty, and filled afterwards with what was checked where it was defined.
        if bases and not body.keys() <= {"__module__", "__dict__"}:
            check_body(name, body)
            cls.definition = define(name, _declared(name, cls), cls.outputs, cls.on_error, cls.stores)  # type: ignore[attr-defined]
        return cls


def _declared(name: str, cls: type) -> dict[str, StageDeclaration]:
    """Stages of the class and of the pipes that it extends; an inherited one keeps its place when it is replaced."""
    found: dict[str, StageDeclaration] = {}
    for base in reversed(cls.__mro__):
        for key, value in vars(base).items():
            if isinstance(value, StageDeclaration):
                if key in _RESERVED:
                    raise DefinitionError(f"pipe {name}, stage {key}", "this name means something else in a pipe")
                found[key] = value
            elif key in found:
                del found[key]
    return found


class Pipe(metaclass=PipeType):
    """Base of pipes. Stages run in the order in which they stand in the body, all at the same time.

    Class attributes:
        outputs: names of the outputs; "default" is always there.
        on_error: error policies by stage name, "*" for all others.
        stores: stores whose session views its runs see; their tables and their global views, every run sees.
        definition: all of it as checked, plain data.
    """

    outputs: ClassVar[Sequence[str]] = []
    on_error: ClassVar[Mapping[str, AnyPolicy] | str] = {}
    stores: ClassVar[Sequence[Any]] = []

    @classmethod
    def describe(cls, format: str = "text") -> str:
        """The topology, as it is declared: stages, what they run, their options, and where items go from them.

        Nothing is started or imported for it. What the pipe does not say, such as a batch size that it leaves to the
        configuration, is left out; so is where functions send items with `RouteTo`, which they alone know.

        Args:
            format: "text" for people, or "mermaid" for a flowchart in documents that can draw one.

        Raises:
            InvalidOption: there is no such format. DefinitionError: this is `Pipe` itself, which has no stage.
        """
        if not hasattr(cls, "definition"):
            raise DefinitionError(f"pipe {cls.__name__}", "it has no stage", "a subclass that declares some")
        return drawn(cls.definition, format)


_RESERVED = frozenset({*OPTIONS, "definition", "describe"})
