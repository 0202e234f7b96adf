"""What lines say, and what is told of those that say nothing."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slither_actors.cli._lines import Line
from slither_actors.cli._records import Broken, NoHeader, Read, format_of, parser_of

few = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def parsed(text: bytes, form: str = "jsonl") -> list[Read | Broken]:
    *lines, rest = text.split(b"\n")
    numbered = [Line(number, line) for number, line in enumerate(lines, 1)]
    if rest:
        numbered.append(Line(len(lines) + 1, rest, ended=False))
    return list(parser_of(form)(numbered))


def payloads(found: list[Read | Broken]) -> list[Any]:
    return [read.payload for read in found if isinstance(read, Read)]


@few
@given(st.lists(st.recursive(st.none() | st.integers(-(2**60), 2**60) | st.text(), st.lists)))
def test_json_lines_are_read_as_they_were_written(values: list[Any]) -> None:
    try:
        text = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()
    except UnicodeEncodeError:
        return
    assert payloads(parsed(text)) == values


@few
@given(st.lists(st.lists(st.text(alphabet='ab,"\n;ü ', max_size=6), min_size=2, max_size=2)))
def test_rows_are_read_as_they_were_written(rows: list[list[str]]) -> None:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])

    found = parsed(file.getvalue().encode(), "csv")

    assert payloads(found) == [{"a": one, "b": other} for one, other in rows]


def test_empty_lines_are_nothing() -> None:
    assert parsed(b"\n1\n  \n\n2\n") == [Read(2, 1), Read(5, 2)]
    assert parsed(b"\na\n\n1\n\n", "csv") == [Read(4, {"a": "1"})]


def test_windows_line_ends_are_no_content_but_within_a_value() -> None:
    assert parsed(b'{"a": 1}\r\n') == [Read(1, {"a": 1})]
    assert parsed(b'a,b\r\n1,"x\r\ny"\r\n', "csv") == [Read(2, {"a": "1", "b": "x\r\ny"})]


def test_a_row_over_several_lines_has_the_number_of_its_first_one() -> None:
    found = parsed(b'a\tb\n1\t"x\ny"\n2\tz\n', "tsv")

    assert found == [Read(2, {"a": "1", "b": "x\ny"}), Read(4, {"a": "2", "b": "z"})]


@pytest.mark.parametrize(
    ("line", "said", "hint"),
    [
        (b'{"a": 1', "at column 8", "cut off here"),
        (b"[", "at column 2", "jq -c"),
        (b"{'a': 1}", "at column 2", "double quotes"),
        (b'{"a": 1},', "at column 9", "no comma"),
        (b'{"a": NaN}', "at column 7", "no NaN"),
        (b'{"a": None}', "at column 7", "null"),
        (b"a,b,c", "at column 1", "--format csv"),
        (b"\x1f\x8b\x08", "is no UTF-8", "zcat"),
        (b"\xff\xfe{", "is no UTF-8", "UTF-16"),
        (b'"caf\xe9"', "is no UTF-8", "LATIN1"),
    ],
)
def test_a_broken_line_is_told_with_its_place_and_a_hint(line: bytes, said: str, hint: str) -> None:
    broken, read = parsed(line + b"\n2\n")

    assert isinstance(broken, Broken)
    assert broken.number == 1
    assert str(broken.error).startswith("line 1 is no ")
    assert said in str(broken.error)
    assert hint in str(broken.error).partition("(")[2]
    assert broken.text == line.decode(errors="replace")
    assert read == Read(2, 2)


def test_a_last_line_without_an_end_may_be_cut_off() -> None:
    (broken,) = parsed(b'{"a": 1, "b')

    assert isinstance(broken, Broken)
    assert "was the file cut off?" in str(broken.error)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_line_that_is_too_long_is_broken_and_little_of_it_is_told(form: str) -> None:
    lines = [Line(1, b'"a"'), Line(2, b"x" * 5000, too_long=True), Line(3, b'"b"')]

    _, broken, read = [Read(1, None), *parser_of(form)(lines)][-3:]

    assert isinstance(broken, Broken)
    assert (broken.number, len(broken.text)) == (2, 2000)
    assert "too long" in str(broken.error)
    assert isinstance(read, Read)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (b"1,2,3", "line 2 has 3 values, and the first row names 2 columns (a value with the delimiter"),
        (b"1", "line 2 has 1 values, and the first row names 2 columns (a line end"),
        (b'"1"x,2', "a quote that opens must close"),
        (b"\xe9,2", "line 2 is no UTF-8"),
    ],
)
def test_a_row_that_does_not_fit_is_broken_and_the_next_one_is_read(row: bytes, said: str) -> None:
    broken, read = parsed(b"a,b\n" + row + b"\n3,4\n", "csv")

    assert isinstance(broken, Broken)
    assert said in str(broken.error)
    assert read == Read(3, {"a": "3", "b": "4"})


def test_a_quote_that_never_closes_is_one_broken_row() -> None:
    (broken,) = parsed(b'a,b\n1,"2\n3,4\n5,6\n', "csv")

    assert isinstance(broken, Broken)
    assert broken.number == 2


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"a,a\n1,2\n", "two columns are called 'a'"),
        (b"a,,c\n1,2,3\n", "column 2 has no name"),
        (b"\xff\xfea\n", "is no UTF-8 (this is UTF-16"),
    ],
)
def test_a_first_row_that_names_nothing_is_refused(header: bytes, said: str) -> None:
    with pytest.raises(NoHeader) as refused:
        parsed(header, "csv")

    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("path", "given", "form"),
    [
        ("a.jsonl", None, "jsonl"),
        ("a.CSV", None, "csv"),
        ("a.tsv", None, "tsv"),
        ("-", None, "jsonl"),
        ("a.csv", "jsonl", "jsonl"),
    ],
)
def test_the_format_is_what_is_given_or_what_the_name_says(path: str, given: str | None, form: str) -> None:
    assert format_of(path, given) == form
