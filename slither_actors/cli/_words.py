"""Text of others, made fit for a terminal: what stands in a file must not steer it."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with its lines, and with escapes in the place of what is no character to print."""
    return "\n".join(map(_escaped, text.split("\n")))


def one_line(text: str) -> str:
    """The same in one line."""
    return _escaped(" ".join(text.split()))


def _escaped(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in line)
