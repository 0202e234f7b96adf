"""Reads the tables of documents."""

from itertools import dropwhile, takewhile


def table_below(heading, document):
    """The rows of the first table below a heading, without its head."""
    _, _, behind = document.partition(f"\n{heading}\n")
    within = takewhile(lambda line: not line.startswith("## "), behind.splitlines())
    lines = takewhile(_is_row, dropwhile(lambda line: not _is_row(line), within))
    rows = [tuple(cell.strip() for cell in line[1:-1].split(" | ")) for line in lines]
    return rows[2:]


def _is_row(line):
    return line.startswith("|") and line.endswith("|")
