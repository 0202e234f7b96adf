"""Words about foreign objects, classes and exceptions.

Their own ``repr`` and ``str`` may raise, which nothing here does, signals of the program apart.
"""

import inspect
import os
import signal
import traceback
from types import FrameType, TracebackType

_LIBRARY = os.path.dirname(os.path.abspath(__file__)) + os.sep
# These lie in our folder, but what they do is user code.
_EXAMPLES = os.path.join(_LIBRARY, "examples") + os.sep
# Errors are kept by the thousand in the ends of a run, so their text is bounded.
_MESSAGE_LIMIT = 2_000
_TRACEBACK_LIMIT = 20_000


def shorten(value: object, limit: int = 80) -> str:
    """The repr of a value, cut to ``limit`` characters."""
    try:
        text = repr(value)
    except (Exception, SystemExit) as error:
        if is_of_a_signal(error):
            raise
        text = f"<{type(value).__name__} whose repr raises {type(error).__qualname__}>"
    return text if len(text) <= limit else text[: limit - 3] + "..."


def is_of_a_signal(error: BaseException) -> bool:
    """Whether a signal handler of the program raised this, for example for a timeout: it is not about the value then.

    Such a handler runs wherever the program happens to be, also within a ``__reduce__``. It need not be installed any
    more: many are replaced by the first signal.
    """
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    codes = {getattr(handler, "__code__", None) for handler in handlers if handler is not None} - {None}
    interrupted: FrameType | None = None
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code in codes or (interrupted is not None and _handles(frame, interrupted)):
            return True
        interrupted = frame
        trace = trace.tb_next
    return False


def _handles(frame: FrameType, interrupted: FrameType) -> bool:
    """Whether a call was given what only a signal handler is: a number, and the frame that it was called from."""
    code = frame.f_code
    given = [frame.f_locals.get(name) for name in code.co_varnames[: code.co_argcount]]
    if code.co_flags & inspect.CO_VARARGS:
        given += frame.f_locals.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount]) or ()
    return len(given) > 1 and given[-1] is interrupted and isinstance(given[-2], int)


def kinds_of(cls: type) -> tuple[str, ...]:
    """The qualified names of a class and its bases, most special first, without ``object``."""
    return tuple(f"{base.__module__}.{base.__qualname__}" for base in cls.__mro__[:-1])


def message_of(exc: BaseException) -> str:
    """What the exception says, without its type."""
    try:
        return str(exc)[:_MESSAGE_LIMIT]
    except (Exception, SystemExit) as error:
        if is_of_a_signal(error):
            raise
        return f"<the str of which raises {type(error).__qualname__}>"


def is_plain(exc: BaseException) -> bool:
    """Whether there is nothing but text and numbers in an exception, so that it depends on no other class."""
    return _is_plain([*exc.args, *vars(exc).values()])


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return type(value) in (list, tuple) and all(map(_is_plain, value))
    return value is None or type(value) in (str, int, float, bool)


def said(exc: BaseException) -> str:
    """Type and message in one line."""
    return f"{type(exc).__qualname__}: {message_of(exc)}"


def traceback_of(exc: BaseException) -> str:
    """The traceback as text, from the first frame that is not this library's: ours say nothing about the mistake."""
    trace: TracebackType | None = exc.__traceback__
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    lines = traceback.format_exception(type(exc), exc, trace or exc.__traceback__)
    return "".join(lines).rstrip()[-_TRACEBACK_LIMIT:]


def _is_ours(file: str) -> bool:
    return file.startswith(_LIBRARY) and not file.startswith(_EXAMPLES)
