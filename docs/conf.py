"""How the documents become a site: `tox -e site`, or `sphinx-build -c docs . OUTPUT`.

The source is the whole repository, so the links that its web page follows, to README.md or to an example, lead
somewhere here too. The documents are plain Markdown; what only a site has is made here: the order of its pages, the
reference from docstrings, and links from names to that.
"""

from __future__ import annotations

import builtins
import inspect
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import attrs
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import slither_actors
from slither_actors import errors, otp, telemetry, testing

REPOSITORY = Path(__file__).parents[1]

project = "slither_actors"
author = "slither_actors contributors"
copyright = author
version = release = slither_actors.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = ["docs/**", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/*/README.md"]
exclude_patterns = ["slither_actors", "tests", "build", "*.egg-info", ".*"]
nitpicky = True

html_theme = "furo"
html_title = "slither_actors"
html_static_path = ["_static"]
html_copy_source = False
html_show_copyright = False

myst_heading_anchors = 4  # named as on the repository's page

# What single backticks hold in docstrings is code; names among it are linked below, as they are in the documents.
default_role = "literal"
python_maximum_signature_line_length = 100
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
# What these bases offer is documented where it comes from.
INHERITED = "object, list, tuple, Mapping, Server, Exception, BaseException, OSError"
autodoc_default_options = {"members": True, "inherited-members": INHERITED}
autodoc_mock_imports = ["opentelemetry", "prometheus_client"]  # the reference tells of the adapters without them
napoleon_use_ivar = True  # else an attribute that has a docstring too would be described twice

# Names of fields, such as `skipped`, that several classes have: any of them will do.
suppress_warnings = ["ref.python"]
# Annotations that lose the module they come from: unions with a name of their own, and classes of no interest to users.
nitpick_ignore = [("py:class", name) for name in ("CollectorRegistry", "Mode", "Scope", "Watched", "_Handler")]

# Of whom names stand in annotations; see `resolve`.
FOREIGN = {*sys.stdlib_module_names, "opentelemetry", "otel_metrics", "prometheus_client", "trace"}

# What the reference has; tests/docs/test_reference.py sees to it that this is all of it.
PUBLIC = {name for module in (slither_actors, errors, otp, telemetry, testing) for name in module.__all__}

# The order in which a reader meets the pages.
CHAPTERS = {
    "Start": ["getting-started", "examples", "why", "from-slither"],
    "Guides": [
        *("dispatch", "sessions", "pools", "pipe", "stages", "store", "actors", "supervision"),
        *("extending", "testing", "chaos"),
    ],
    "Operations": [
        *("operations", "configuration", "lifecycle", "failures", "cli", "telemetry", "observability"),
        "troubleshooting",
    ],
    "Reference": [
        *("reference/system", "reference/items", "reference/dispatch", "reference/policies", "reference/pipe"),
        *("reference/store", "reference/sessions", "reference/pools", "reference/errors", "reference/telemetry"),
        *("reference/logs", "reference/observe", "reference/otp", "reference/testing"),
    ],
    "Explanation": ["architecture", "transport", "performance", "glossary"],
    "Project": ["/README", "/CONTRIBUTING", "/CHANGELOG"],
}
# Pages that are reached from another one alone.
INSIDE = {
    "docs/examples": sorted(
        f"/{path.parent.relative_to(REPOSITORY)}/README" for path in (REPOSITORY / "examples").glob("*/README.md")
    )
}


def add_order(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the order of the pages behind the text of those that lead to others."""
    trees = CHAPTERS if docname == root_doc else {"Programs": INSIDE[docname]} if docname in INSIDE else {}
    for caption, pages in trees.items():
        listed = "\n".join(pages)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"


def describe_options(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Say of the fields of an options class what they mean; that stands beside their defaults."""
    if what == "class" and attrs.has(thing):
        for field in attrs.fields(thing):
            if "doc" in field.metadata and field.init:
                lines += ["", f":param {field.name}: {field.metadata['doc']}"]


def leave_out(app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """Fields of named tuples are described by the tuple."""
    return True if (inspect.getdoc(thing) or "").startswith("Alias for field number") else None


@cache
def targets_of(env: BuildEnvironment) -> dict[str, tuple[str, str]]:
    """Where each name of the reference is, page and anchor, by its full name, its bare one, and as programs say it.

    Asked for when all pages are read, so it need not change afterwards.
    """
    found = {}
    for full, entry in env.domains.python_domain.objects.items():
        module, _, bare = full.rpartition(".")
        if module in sys.modules and entry.objtype != "module":
            here = (entry.docname, entry.node_id)
            found[full] = here
            if module == "slither_actors" or bare not in found:
                found[bare] = found[f"slither.{bare}"] = here
    return found


def link_names(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Link what stands in code font and is a name of the reference, unless it is a link or a heading."""
    targets = targets_of(app.env)
    for literal in list(doctree.findall(nodes.literal)):
        target = targets.get(literal.astext().removesuffix("()"))
        parent = literal.parent
        if target and not isinstance(parent, nodes.reference | nodes.title) and "py" not in literal.get("classes", ()):
            page, anchor = target
            link = nodes.reference(
                "", "", internal=True, refuri=f"{app.builder.get_relative_uri(docname, page)}#{anchor}"
            )
            parent.replace(literal, link)
            link += literal


def is_inner(name: str) -> bool:
    """Whether a name, in full, is of something in the library that is no public name: users never say it."""
    module, _, bare = name.rpartition(".")
    return module.startswith("slither_actors.") and hasattr(sys.modules.get(module), bare) and bare not in PUBLIC


def hide_making(app: Sphinx, what: str, name: str, thing: Any, options: Any, made: Any, result: Any) -> Any:
    """Do not say what a class is made of that only the library can make, since that takes something of its own."""
    inner = what == "class" and any(is_inner(word) for word in re.findall(r"slither_actors\.[\w.]+", made or ""))
    return ("", result) if inner else None


def resolve(app: Sphinx, env: BuildEnvironment, node: Any, content: nodes.Node) -> nodes.Node | None:
    """Lead annotations to public names, wherever these are defined.

    Not linked, and no mistake, is what `FOREIGN` define, since their pages would have to be fetched, and what users get
    from a call and never name. All else has to lead somewhere.
    """
    if node.get("refdomain") != "py":
        return None
    wanted = node["reftarget"].lstrip(".")
    if target := targets_of(env).get(wanted.rpartition(".")[2]):
        uri = f"{app.builder.get_relative_uri(node['refdoc'], target[0])}#{target[1]}"
        return nodes.reference("", "", content, internal=True, refuri=uri)
    is_foreign = wanted.partition(".")[0] in FOREIGN or hasattr(builtins, wanted)
    return content if is_foreign or is_inner(wanted) else None


def add_entrance(app: Sphinx, error: Exception | None) -> None:
    """Whoever opens the folder of the site is led to its first page, which is docs/index.html."""
    if app.builder.name == "html" and error is None:
        page = f'<!doctype html><meta http-equiv="refresh" content="0; url={root_doc}.html"><title>{project}</title>\n'
        Path(app.outdir, "index.html").write_text(page, "utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", add_order)
    app.connect("autodoc-process-docstring", describe_options, priority=400)  # before napoleon looks at them
    app.connect("autodoc-skip-member", leave_out)
    app.connect("autodoc-process-signature", hide_making)
    app.connect("missing-reference", resolve)
    app.connect("doctree-resolved", link_names)
    app.connect("build-finished", add_entrance)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
