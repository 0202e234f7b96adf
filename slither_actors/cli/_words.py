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


def in_megabytes(count: int) -> str:
    """A number of bytes: "0.2 MB", "1,250 MB"."""
    megabytes = count / 1e6
    return f"{megabytes:,.0f} MB" if megabytes >= 100 else f"{megabytes:.1f} MB"


def in_seconds(seconds: float) -> str:
    """A time that has passed, by its two largest units: "0.4 s", "12 s", "3 min 5 s", "2 h 0 min", "9 d 4 h"."""
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400:,} d {whole % 86400 // 3600} h"
