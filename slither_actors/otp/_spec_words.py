"""What is wrong with a spec, in the words that OTP has for it."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from slither_actors.errors import InvalidOption, InvalidSpec

_Class = TypeVar("_Class", bound=type[Any])


def spec_errors(words: Mapping[str, str]) -> Callable[[_Class], _Class]:
    """Above an attrs class: what it refuses, and what it misses, is an ``InvalidSpec`` with OTP's word.

    Args:
        words: The word by field; that of any other field is "invalid_" and its name.
    """

    def decorate(cls: _Class) -> _Class:
        cls.__init__ = _with_words(cls.__init__, cls.__name__, words)
        return cls

    return decorate


def _with_words(init: Callable[..., None], where: str, words: Mapping[str, str]) -> Callable[..., None]:
    parameters = list(inspect.signature(init).parameters.values())[1:]
    required = [
        (place, parameter.name) for place, parameter in enumerate(parameters) if parameter.default is parameter.empty
    ]

    @functools.wraps(init)
    def check(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except InvalidSpec:
            raise
        except InvalidOption as error:
            word = words.get(error.option, f"invalid_{error.option}")
            raise InvalidSpec(error.where, error.option, error.got, error.allowed, word) from None
        except TypeError:
            for place, name in required:
                if len(args) <= place and name not in kwargs:
                    raise InvalidSpec(where, name, "missing", "a value: it has no default", f"missing_{name}") from None
            raise

    return check
