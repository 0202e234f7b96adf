"""Runs what the documents show, compares what they say it prints, and follows their links.

The python blocks of one document are one program, run in file order in an empty folder. An HTML comment right above
a block says more about it:

- `<!-- not run: reason -->` leaves the block out
- `<!-- file: name.py -->` writes the block to that file, before the program starts
- `<!-- output -->` above a text block that follows a python block: the program prints these lines, in this order

And one anywhere in the document: `<!-- needs: module, module -->`: without these the program is skipped.
"""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

REPOSITORY = Path(__file__).parents[2]
# Below pytest's own timeout, so that the failure names the program.
TIMEOUT_S = 130.0

FENCE = re.compile(r"^ *(?P<fence>`{3,}|~{3,}) *(?P<language>[\w-]*)")
COMMENT = re.compile(r"^ *<!-- (?P<key>not run|file|output)(?:: (?P<value>.+?))? -->$")
NEEDS = re.compile(r"^<!-- needs: (?P<modules>.+) -->$", re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(<?(?P<target>[^)\s>]+)>?(?: \"[^\"]*\")?\)|^ *\[[^\]]+\]: (?P<definition>\S+)")
HEADING = re.compile(r"^#{1,6} +(?P<title>.+?) *#*$")


@attrs.frozen
class Block:
    """A fenced block: its language, what the comment above it says, and its lines. `line` is that of the fence."""

    line: int
    language: str
    comment: str
    value: str
    text: str


def blocks_of(document: str) -> list[Block]:
    """The fenced blocks of a document, in order."""
    return [part for part in _parts_of(document) if isinstance(part, Block)]


def _parts_of(document: str) -> Iterator[Block | tuple[int, str]]:
    """Blocks, and the lines between them with their numbers."""
    lines = document.splitlines()
    comment, number = None, 0
    while number < len(lines):
        line, number = lines[number], number + 1
        if opening := FENCE.match(line):
            start, fence = number, opening["fence"]
            while number < len(lines) and not re.match(rf"^ *{fence[0]}{{{len(fence)},}} *$", lines[number]):
                number += 1
            text = textwrap.dedent("\n".join(lines[start:number]))
            key, value = (comment["key"], comment["value"] or "") if comment else ("", "")
            yield Block(start, opening["language"], key, value, text)
            number, comment = number + 1, None
            continue
        yield number, line
        if line.strip():  # an empty line may stand between a comment and its block
            comment = COMMENT.match(line)


def program_of(blocks: list[Block]) -> str:
    """The python blocks as one program whose line numbers are those of the document."""
    lines: list[str] = []
    for block in blocks:
        left_out = block.comment == "file" or (block.comment == "not run" and block.value)
        if block.language == "python" and not left_out:
            lines += [""] * (block.line - len(lines)) + block.text.splitlines()
    return "\n".join(lines) + "\n" if lines else ""


def expected_output(blocks: list[Block]) -> list[str]:
    """The lines that the document says its program prints."""
    expected: list[str] = []
    before = None
    for block in blocks:
        if block.comment == "output":
            if block.language != "text" or before is None or before.language != "python":
                pytest.fail(f"line {block.line}: an output is a text block after a python block", pytrace=False)
            expected += [line.rstrip() for line in block.text.splitlines()]
        before = block
    return expected


def first_missing(expected: list[str], printed: str) -> str | None:
    """The first expected line that is not printed after the ones before it."""
    lines = iter([line.rstrip() for line in printed.splitlines()])
    return next((line for line in expected if line not in lines), None)


def needs_of(document: str) -> list[str]:
    """The modules that the program of a document cannot do without."""
    return [module.strip() for needs in NEEDS.findall(document) for module in needs.split(",")]


def run_document(document: str, folder: Path) -> None:
    """Run the program of a document in `folder`; fail with its output if it fails or does not print what it should."""
    blocks = blocks_of(document)
    for block in blocks:
        if block.comment == "file":
            (folder / block.value).write_text(block.text + "\n", "utf-8")
    (folder / "program.py").write_text(program_of(blocks), "utf-8")
    ended = subprocess.run(
        [sys.executable, "program.py"], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    shown = f"\n--- stdout\n{ended.stdout}\n--- stderr\n{ended.stderr}"
    if ended.returncode != 0:
        pytest.fail(f"exit code {ended.returncode}; the line numbers are the document's{shown}", pytrace=False)
    missing = first_missing(expected_output(blocks), ended.stdout)
    if missing is not None:
        pytest.fail(f"not printed, or not in this place: {missing!r}{shown}", pytrace=False)


def broken_links(path: Path) -> list[str]:
    """The relative links of a document that lead to no file or to no heading, as `line: target`."""
    broken = []
    for part in _parts_of(path.read_text("utf-8")):
        if isinstance(part, Block):
            continue
        number, line = part
        for link in LINK.finditer(re.sub(r"`[^`]*`", "", line)):
            target = link["target"] or link["definition"]
            if not re.match(r"[a-z][a-z0-9+.-]*:", target) and not _leads_somewhere(path, target):
                broken.append(f"{number}: {target}")
    return broken


def _leads_somewhere(path: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    there = path.parent / name if name else path
    if not there.exists():
        return False
    return not anchor or there.suffix != ".md" or anchor in _anchors_of(there.read_text("utf-8"))


def _anchors_of(document: str) -> set[str]:
    """The anchors of a document's headings, as GitHub and MyST name them."""
    anchors: list[str] = []
    for part in _parts_of(document):
        if not isinstance(part, Block) and (heading := HEADING.match(part[1])):
            anchor = re.sub(r"[^\w -]", "", heading["title"].lower()).replace(" ", "-")
            again = anchors.count(anchor)
            anchors += [anchor, f"{anchor}-{again}"] if again else [anchor]
    return set(anchors)


DOCUMENTS = {
    str(path.relative_to(REPOSITORY)): path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md")
    for path in sorted(REPOSITORY.glob(pattern))
}
PROGRAMS = [name for name in DOCUMENTS if program_of(blocks_of(DOCUMENTS[name].read_text("utf-8")))]


@pytest.mark.system
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_program_of_a_document_runs_and_prints_what_it_says(name: str, tmp_path: Path) -> None:
    document = DOCUMENTS[name].read_text("utf-8")
    for module in needs_of(document):
        pytest.importorskip(module, reason=f"the program of {name} needs {module}")
    run_document(document, tmp_path)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_links_of_a_document_lead_somewhere(name: str) -> None:
    assert broken_links(DOCUMENTS[name]) == []


SPECIMEN = """\
# Title

<!-- file: shop.py -->
```python
def price(name):
    return len(name)
```

1. In a list:

   ```python
   from shop import price
   ```

<!-- not run: needs a network -->
```python
raise ConnectionError
```

```python
for name in ("tea", "milk"):
    print(name, price(name))
```

<!-- output -->
```text
tea 3
milk 4
```
"""


def test_the_blocks_of_a_document_run_as_one_program(tmp_path: Path) -> None:
    run_document(SPECIMEN, tmp_path)

    assert expected_output(blocks_of(SPECIMEN)) == ["tea 3", "milk 4"]


@pytest.mark.parametrize(
    ("shown", "instead", "complaint"),
    [
        ("milk 4", "milk 5", "not printed, or not in this place: 'milk 5'"),
        ("tea 3\nmilk 4", "milk 4\ntea 3", "not printed, or not in this place: 'tea 3'"),
        ("return len(name)", "return name.size", "exit code 1"),
        ("<!-- not run: needs a network -->", "<!-- not run -->", 'program.py", line 17'),
        ("```text", "```", "line 26: an output is a text block after a python block"),
    ],
)
def test_a_document_that_is_wrong_is_found(tmp_path: Path, shown: str, instead: str, complaint: str) -> None:
    assert shown in SPECIMEN
    with pytest.raises(pytest.fail.Exception) as caught:
        run_document(SPECIMEN.replace(shown, instead), tmp_path)

    assert complaint in str(caught.value)


def test_what_a_program_needs_is_said_once_for_the_document() -> None:
    assert needs_of(SPECIMEN) == []
    assert needs_of("# T\n\n<!-- needs: a.b, c -->\n```text\nx\n```\n") == ["a.b", "c"]


def test_a_line_may_stand_between_the_expected_ones() -> None:
    assert first_missing(["a", "c"], "a\nb\nc\n") is None
    assert first_missing(["a", "a"], "a\nb\n") == "a"


def test_only_broken_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# What it *does*, and why\n## Same\n## Same\n", "utf-8")
    document = tmp_path / "one.md"
    document.write_text(
        "# Here\n[a](other.md) [b](other.md#what-it-does-and-why) [c](#here) [d](other.md#same-1) [e](https://x.org/y)\n"
        "`[f](code.md)` ![g](gone.png)\n[h](other.md#gone) [i](#gone)\n\n[j]: gone.md\n```text\n[k](gone.md)\n```\n",
        "utf-8",
    )

    assert broken_links(document) == ["3: gone.png", "4: other.md#gone", "4: #gone", "6: gone.md"]
