"""A pipe as text and as a Mermaid flowchart, drawn from its definition alone."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Container, Iterator
from typing import Any

import attrs

from slither_actors._code import Code
from slither_actors.dispatch.options import DispatchOptions, WorkerOptions
from slither_actors.errors import InvalidOption, shorten
from slither_actors.pipe.declarations import CustomDeclaration, LocalDeclaration, RouterDeclaration, WorkerDeclaration
from slither_actors.pipe.definition import PipeDefinition, StageSpec
from slither_actors.policy import Halt, Policy, Skip, way_out
from slither_actors.rate import Rate
from slither_actors.workers.adapter import CommandCode

_LONGEST = 60
_WORD = re.compile(r"[\w.:*-]{1,60}")


@attrs.frozen
class Way:
    """Where items may go from a stage: to a later stage or an output. `when` is empty for all that go by themselves."""

    to: str
    when: str = ""
    failed: bool = False


def drawn(definition: PipeDefinition, form: str) -> str:
    """The pipe in one of the forms that there are.

    Raises:
        InvalidOption: there is no such form.
    """
    if form not in [*_FORMS]:  # what is given may not even be hashable
        allowed = " or ".join(f'"{known}"' for known in _FORMS)
        raise InvalidOption(f"{definition.name}.describe", "format", shorten(form), allowed)
    return "\n".join(_FORMS[form](definition))


def plain(definition: PipeDefinition) -> dict[str, Any]:
    """The pipe as plain data, in the words that people get."""
    stages = [
        {
            "name": stage.name,
            "kind": stage.declaration.kind,
            "runs": _runs(stage),
            "options": list(words_of(definition, stage)),
            "ways": [{"to": way.to, "when": way.when, "failed": way.failed} for way in ways_of(definition, stage)],
        }
        for stage in definition.stages
    ]
    return {
        "name": definition.name,
        "stages": stages,
        "outputs": list(definition.outputs),
        "stores": list(definition.stores),
    }


def ways_of(definition: PipeDefinition, stage: StageSpec) -> Iterator[Way]:
    """The ways out that a pipe declares. Where functions send items with `RouteTo` is known to them alone."""
    routes = stage.declaration.routes if isinstance(stage.declaration, RouterDeclaration) else ()
    for number, (predicate, destination) in enumerate(routes, 1):
        name = _name_of(predicate)
        yield Way(destination, f"lambda {number}" if name == "lambda" else name)
    yield Way(stage.next, "else" if routes else "")
    policy = _policy_of(definition, stage)
    failed = way_out(policy) if policy is not None else None
    if isinstance(failed, str):
        yield Way(failed, "failed", failed=True)


def words_of(definition: PipeDefinition, stage: StageSpec) -> Iterator[str]:
    """What a pipe says of a stage, without the defaults of a system: only that one knows them."""
    declaration = stage.declaration
    if isinstance(declaration, LocalDeclaration) and declaration.many:
        yield "many=True"
    if isinstance(declaration, WorkerDeclaration):
        options = {"pool": attrs.fields(DispatchOptions).pool.default} | declaration.options
        given = {name: options.get(name) for name in WorkerOptions.__annotations__}
        yield from (f"{name}={_said(value)}" for name, value in given.items() if value is not None)
    if isinstance(declaration, CustomDeclaration):
        options = declaration.stage.make_options(declaration.options)
        yield from _fields(options, declaration.options)
    if declaration.replicas > 1:
        yield f"replicas={declaration.replicas}{'' if declaration.ordered else ', ordered=False'}"
    if declaration.rate is not None:
        yield f"rate={_said_rate(declaration.rate)}"
    policy = _policy_of(definition, stage)
    if policy is not None:
        yield f"on_error={_said(policy)}"


def _said_rate(rate: Rate) -> str:
    return f"{rate.per_second:g}/s" + (f" (burst {rate.burst})" if rate.burst is not None else "")


def _policy_of(definition: PipeDefinition, stage: StageSpec) -> Policy | None:
    """The policy that the pipe itself has for a stage."""
    policy = definition.policy(stage, _UNSAID)
    return None if policy is _UNSAID else policy


_UNSAID = Halt()  # an object of our own: a pipe that says "halt" has another


def _runs(stage: StageSpec) -> str:
    """The name of what a stage runs; a function in the body of a pipe is called like its stage."""
    declaration = stage.declaration
    if isinstance(declaration, LocalDeclaration):
        name = _name_of(declaration.function)
        return "" if name.rpartition(".")[2] == stage.name else name
    if isinstance(declaration, WorkerDeclaration):
        code = declaration.executor
        return f"Command({code.name!r})" if isinstance(code, CommandCode) else _plain(code.name)
    return _plain(declaration.stage.__qualname__) if isinstance(declaration, CustomDeclaration) else ""


def _name_of(function: Any) -> str:
    if isinstance(function, functools.partial):
        return f"partial({_name_of(function.func)})"
    name = getattr(function, "__qualname__", None)
    return _plain(name if isinstance(name, str) else type(function).__qualname__)


def _plain(name: str) -> str:
    """A name without the function that it is written in."""
    name = name.rpartition("<locals>.")[2]
    return "lambda" if name.endswith("<lambda>") else name


def _said(value: Any) -> str:
    """A value, about as a user would write it."""
    if isinstance(value, Halt | Skip) and value in (Halt(), Skip()):
        return type(value).__name__.lower()
    if isinstance(value, str):
        return value if _WORD.fullmatch(value) else shorten(value, _LONGEST)
    if isinstance(value, Code):
        return _plain(value.name)
    if not isinstance(value, type) and attrs.has(type(value)):
        return f"{_name_of(type(value))}({', '.join(_fields(value))})"
    return _name_of(value) if callable(value) else shorten(value, _LONGEST)


def _fields(made: Any, given: Container[str] | None = None) -> Iterator[str]:
    """What was said of an attrs object, or else what is not its default. What its repr hides is not told here."""
    for field in attrs.fields(type(made)):
        name, value = field.alias or field.name, getattr(made, field.name)
        # An array is neither equal to something nor unequal.
        if name in given if given is not None else (value == field.default) is not True:
            yield f"{name}={'...' if field.repr is False else _said(value)}"


def _text(definition: PipeDefinition) -> Iterator[str]:
    yield f"pipe {definition.name}"
    if definition.stores:
        yield f"stores: {', '.join(definition.stores)}"
    yield ""
    width = max(len(stage.name) for stage in definition.stages) + 2
    for stage in definition.stages:
        yield f"{stage.name:<{width}}{stage.declaration.kind:<8}{_runs(stage)}".rstrip()
        if words := ", ".join(words_of(definition, stage)):
            yield f"{'':<{width}}{words}"
        for way in ways_of(definition, stage):
            output = " (output)" if way.to in definition.outputs else ""
            yield f"{'':<{width}}{way.when}{' ' if way.when else ''}-> {way.to}{output}"
    yield ""
    yield f"outputs: {', '.join(definition.outputs)}"


# Shapes of nodes by kind of stage; outputs and the beginning are rounded.
_SHAPES = {"local": ("[", "]"), "worker": ("[[", "]]"), "router": ("{", "}"), "stage": ("{{", "}}")}


def _mermaid(definition: PipeDefinition) -> Iterator[str]:
    # Names get something in front: some words, such as "end", are no names of nodes.
    ids = {stage.name: f"stage_{stage.name}" for stage in definition.stages}
    ids |= {output: f"output_{output}" for output in definition.outputs}
    ways = {stage.name: list(ways_of(definition, stage)) for stage in definition.stages}
    reached = {way.to for found in ways.values() for way in found}
    yield "flowchart TD"
    yield f"    inputs([{_quoted(definition.name)}]) --> {ids[definition.stages[0].name]}"
    for stage in definition.stages:
        left, right = _SHAPES[stage.declaration.kind]
        lines = (stage.name, _runs(stage), *words_of(definition, stage))
        yield f"    {ids[stage.name]}{left}{_quoted(*lines)}{right}"
    for output in definition.outputs[1:] if definition.outputs[0] not in reached else definition.outputs:
        yield f"    {ids[output]}([{_quoted(output)}])"
    for name, found in ways.items():
        for way in found:
            label = f"|{_quoted(way.when)}|" if way.when else ""
            yield f"    {ids[name]} {'-.->' if way.failed else '-->'}{label} {ids[way.to]}"


def _quoted(*lines: str) -> str:
    """A label; what would mean something to Mermaid is written by its number."""
    escaped = ("".join(mark if mark not in '"#&<>`\\' else f"#{ord(mark)};" for mark in line) for line in lines if line)
    return f'"{"<br/>".join(escaped)}"'


_FORMS: dict[str, Callable[[PipeDefinition], Iterator[str]]] = {"text": _text, "mermaid": _mermaid}
