"""Code: a function or class in a form that travels, as an importable path or, failing that, by value."""

import functools
import importlib
import pickle
from typing import Any, Self

import attrs

from slither_actors._codec import by_value, path_of
from slither_actors._describe import is_of_a_signal, said
from slither_actors.errors import NotImportable, NotPicklable

_MAIN = "it is defined in __main__, which other processes do not have; give the function itself instead of its path"


@attrs.frozen
class Code:
    """A function or class on its way to another process.

    Attributes:
        path: "module:qualname", if it can be imported.
        blob: Else its pickle by value.
        name: What to call it in messages.
    """

    path: str | None
    blob: bytes | None = attrs.field(repr=False)
    name: str

    @classmethod
    def of(cls, obj: Any) -> Self:
        """Put a function, a class, any picklable callable or a path into this form.

        A path is only looked at, not imported: it may be importable in the worker alone.

        Raises:
            NotImportable: The path is not of the form "module:qualname", or leads into ``__main__``.
            NotPicklable: The object can neither be imported nor pickled.
        """
        if isinstance(obj, str):
            _check_path(obj)
            return cls(obj, None, obj)
        return cls.by_path(obj) or cls.of_value(obj, _name_of(obj))

    @classmethod
    def by_path(cls, obj: Any) -> Self | None:
        """Put an object into this form if another process can import it."""
        path = path_of(obj)
        return None if path is None else cls(path, None, path)

    @classmethod
    def of_value(cls, obj: Any, name: str) -> Self:
        """Put an object into this form by value, whatever it is.

        Raises:
            NotPicklable: It cannot be pickled.
        """
        try:
            return cls(None, by_value(obj), name)
        except NotPicklable as error:
            raise NotPicklable(name, error.why) from error

    def load(self) -> Any:
        """The object itself, imported or unpickled in this process.

        Raises:
            NotImportable: That failed; the reason tells a missing module from a missing name in it.
        """
        if self.path is not None:
            return _import(self.path)
        try:
            return pickle.loads(self.blob or b"")
        except (Exception, SystemExit) as error:  # rebuilding imports what the code uses, as in _import
            if is_of_a_signal(error):
                raise
            raise NotImportable(self.name, f"it cannot be rebuilt here: {said(error)}") from error

    def __reduce__(self) -> tuple[type[Self], tuple[str | None, bytes | None, str]]:
        return type(self), (self.path, self.blob, self.name)


def _name_of(obj: Any) -> str:
    if isinstance(obj, functools.partial):
        return f"partial({_name_of(obj.func)})"
    name = getattr(obj, "__qualname__", None)
    return name if isinstance(name, str) else f"{type(obj).__qualname__} object"


def _check_path(path: str) -> None:
    module, colon, name = path.partition(":")
    if not colon or not all(part.isidentifier() for part in [*module.split("."), *name.split(".")]):
        raise NotImportable(path, "a path has the form 'package.module:function'")
    if module == "__main__":
        raise NotImportable(path, _MAIN)


def _import(path: str) -> Any:
    _check_path(path)
    module, _, name = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # a module may raise anything, and a script may exit
        if is_of_a_signal(error):
            raise
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        is_ours = missing is not None and f"{module}.".startswith(f"{missing}.")  # not one that ours imports in turn
        why = f"there is no module {missing!r}" if is_ours else f"importing {module} raises {said(error)}"
        raise NotImportable(path, why) from error
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise NotImportable(path, f"{getattr(found, '__name__', module)} has no attribute {part!r}") from error
    return found
