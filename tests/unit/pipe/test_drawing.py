"""`Pipe.describe`: what a pipe says of itself, as text and as a flowchart; nothing that depends on where it runs."""

from __future__ import annotations

import functools
import re
from typing import Any

import attrs
import pytest

import slither_actors as slither


class Features(slither.Store):
    rows = slither.Table()


def is_big(item: slither.Item) -> bool:
    return bool(item.payload > 9)


def mend(item: slither.Item, reason: object) -> slither.Item:
    return item


class Longest(slither.Stage):
    @attrs.frozen
    class Options:
        at_least: int = 1
        password: str = attrs.field(default="", repr=False)

    def handle_item(self, item: slither.Item, ctx: slither.Context) -> Any:
        return item


class Score(slither.Pipe):
    stores = [Features]

    @slither.local(many=True)
    def split(item: slither.Item, ctx: slither.Context) -> Any:
        return item.payload

    predict = slither.worker("my_model:predict_batch", batch_size=32, max_in_flight=4, on_error="skip")
    longest = slither.stage(Longest, at_least=1, password="hush")
    again = slither.worker(slither.Command("again"), pool="gpu", then="route", on_error=slither.Route("review"))
    route = slither.router((is_big, "accept"), (lambda item: True, "review"))
    outputs = ["accept", "review"]
    on_error = {"longest": slither.Retry(5, then=slither.Route(mend)), "split": "halt"}


TEXT = """\
pipe Score
stores: Features

split    local
         many=True, on_error=halt
         -> predict
predict  worker  my_model:predict_batch
         pool=default, batch_size=32, max_in_flight=4, on_error=skip
         -> longest
longest  stage   Longest
         at_least=1, password=..., on_error=Retry(max_attempts=5, then=Route(to=mend))
         -> again
again    worker  Command('again')
         pool=gpu, on_error=Route(to=review)
         -> route
         failed -> review (output)
route    router
         is_big -> accept (output)
         lambda 2 -> review (output)
         else -> default (output)

outputs: default, accept, review"""

MERMAID = """\
flowchart TD
    inputs(["Score"]) --> stage_split
    stage_split["split<br/>many=True<br/>on_error=halt"]
    stage_predict[["predict<br/>my_model:predict_batch<br/>pool=default<br/>batch_size=32<br/>max_in_flight=4<br/>on_error=skip"]]
    stage_longest{{"longest<br/>Longest<br/>at_least=1<br/>password=...<br/>on_error=Retry(max_attempts=5, then=Route(to=mend))"}}
    stage_again[["again<br/>Command('again')<br/>pool=gpu<br/>on_error=Route(to=review)"]]
    stage_route{"route"}
    output_default(["default"])
    output_accept(["accept"])
    output_review(["review"])
    stage_split --> stage_predict
    stage_predict --> stage_longest
    stage_longest --> stage_again
    stage_again --> stage_route
    stage_again -.->|"failed"| output_review
    stage_route -->|"is_big"| output_accept
    stage_route -->|"lambda 2"| output_review
    stage_route -->|"else"| output_default"""  # noqa: E501 - as it is printed


def test_a_pipe_is_described_as_text() -> None:
    assert Score.describe() == Score.describe("text") == TEXT


def test_a_pipe_is_described_as_a_flowchart() -> None:
    assert Score.describe(format="mermaid") == MERMAID


@pytest.mark.parametrize("wrong", ["svg", "", None, 1, ["text"]])
def test_another_form_is_refused(wrong: Any) -> None:
    with pytest.raises(slither.InvalidOption, match=r'Score.describe: format is .*; allowed: "text" or "mermaid"'):
        Score.describe(wrong)


def test_what_is_no_pipe_yet_has_nothing_to_describe() -> None:
    with pytest.raises(slither.DefinitionError, match="pipe Pipe: it has no stage"):
        slither.Pipe.describe()


def test_a_pipe_that_travels_by_value_describes_itself_too() -> None:
    import cloudpickle

    class Here(slither.Pipe):
        step = slither.worker(lambda batch: batch)

    text = Here.describe()
    assert "step  worker  lambda\n" in text
    assert cloudpickle.loads(cloudpickle.dumps(Here)).describe() == text


def test_the_name_of_the_method_is_no_name_of_a_stage() -> None:
    with pytest.raises(slither.DefinitionError, match="stage describe: this name means something else in a pipe"):
        type(slither.Pipe)("Wrong", (slither.Pipe,), {"describe": slither.local(lambda item: item)})


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError

    def __eq__(self, other: object) -> Any:
        return [True]  # as an array does

    __hash__ = None  # type: ignore[assignment]


class Takes(slither.Stage):
    @attrs.frozen
    class Options:
        value: Any = None

    def handle_item(self, item: slither.Item, ctx: slither.Context) -> Any:
        return item


@attrs.frozen
class Model:
    size: Any = 3
    key: str = attrs.field(default="none", repr=False)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("plain", "plain"),
        ("with a space", "'with a space'"),
        ("x" * 100, "'" + "x" * 56 + "..."),
        ("two\nlines", r"'two\nlines'"),
        (Model(), "Model()"),
        (Model(4, "secret"), "Model(size=4, key=...)"),
        (Model(Odd()), "Model(size=<Odd whose repr raises RuntimeError>)"),
        (Model, "Model"),
        (is_big, "is_big"),
        (functools.partial(is_big), "partial(is_big)"),
        (lambda: None, "lambda"),
        (None, "None"),
        (slither.Skip(isolate=True), "Skip(isolate=True)"),
    ],
)
def test_values_are_told_about_as_they_were_written(value: Any, said: str) -> None:
    class One(slither.Pipe):
        step = slither.stage(Takes, value=value)

    assert f"      value={said}\n" in One.describe()


def test_strategies_and_functions_are_told_by_name() -> None:
    class One(slither.Pipe):
        first = slither.local(is_big)
        step = slither.worker(is_big, strategy=slither.WeightedBatch(8, weight=is_big), ordering="as_completed")

    text = One.describe()
    assert "first  local   is_big\n" in text
    assert f"step   worker  {__name__}:is_big\n" in text
    assert "pool=default, ordering=as_completed, strategy=WeightedBatch(max_weight=8, weight=is_big)\n" in text


def test_no_mark_of_a_value_means_anything_to_mermaid() -> None:
    class One(slither.Pipe):
        end = slither.stage(Takes, value='"]}\n --> `#1;` <b>&\\')

    [label] = re.findall(r'stage_end\{\{"(.*)"\}\}', One.describe("mermaid"))
    assert not set('"#<>&`\\') & set(re.sub(r"#\d+;|<br/>", "", label))


def test_the_default_output_is_drawn_only_where_something_leads_to_it() -> None:
    class One(slither.Pipe):
        step = slither.local(is_big, then="done")
        outputs = ["done", "never"]

    chart = One.describe("mermaid")
    assert "output_default" not in chart
    assert 'output_never(["never"])' in chart
