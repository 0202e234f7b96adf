"""Methods that the library calls by their names, and names that were meant to be theirs."""

import difflib
import inspect
from collections.abc import Mapping

from slither_actors.errors import DefinitionError


def check_hooks(where: str, cls: type, base: type, hooks: Mapping[str, str], mark: str = "") -> None:
    """Refuse a method that is called nearly as a hook which its class does not have: one letter off, or written with
    other underscores or capitals.

    Helper methods of other names, private ones, and those that `base` has too are no concern of this.

    Args:
        where: how errors call the class.
        cls: the class, whose own body is looked at.
        base: the library's class above it.
        hooks: how each hook is written.
        mark: the attribute of methods that are called all the same, by other ways.

    Raises:
        DefinitionError: it says what was probably meant.
    """
    missing = {_plain(name): name for name in hooks if getattr(cls, name, None) is getattr(base, name, None)}
    for name, value in vars(cls).items():
        if not inspect.isfunction(value) or name.startswith("_") or hasattr(base, name) or hasattr(value, mark):
            continue
        for plain, hook in missing.items():
            # One wrong letter of n leaves a likeness of 1 - 1/n; so may two letters more, but that is another word.
            near = difflib.get_close_matches(_plain(name), [plain], 1, 1 - 1 / len(plain))
            if near and abs(len(_plain(name)) - len(plain)) < 2:
                raise DefinitionError(f"{where}, {name}", f"nobody calls it (did you mean {hook!r}?)", hooks[hook])


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
