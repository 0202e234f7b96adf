"""User code that asks for the trace of its run. What it needs of OpenTelemetry it imports by itself, where it runs."""

from __future__ import annotations

import os
import sys

import slither_actors as slither

LIBRARIES = ("opentelemetry", "prometheus_client")


def headers(payloads, ctx):
    return [dict(ctx.trace) for _ in payloads]


def headers_here(ctx):
    return dict(ctx.trace)


def imported():
    """What of the adapters and of their libraries this process has imported."""
    return [name for name in sys.modules if name.split(".")[0] in LIBRARIES or "slither_actors.observe" in name]


def span_here(ctx):
    """A span that goes on with the trace of the run, by an SDK of this process: its trace, its parent, its process."""
    from opentelemetry import propagate
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(shutdown_on_exit=False)
    with provider.get_tracer("user").start_as_current_span("infer", context=propagate.extract(ctx.trace)) as span:
        return span.get_span_context().trace_id, span.parent.span_id, os.getpid()


def infer(payloads, ctx):
    return [{**payload, "worker": span_here(ctx)} for payload in payloads]


class Headers(slither.Pipe):
    """Each process that a run goes through notes the headers that it finds."""

    stage = slither.local(lambda item, ctx: {"stage": dict(ctx.trace)})
    worker = slither.worker(
        lambda payloads, ctx: [{**payload, "worker": dict(ctx.trace)} for payload in payloads], batch_size=2
    )


class Traced(slither.Pipe):
    """Each process that a run goes through makes a span."""

    prepare = slither.local(lambda item, ctx: {"stage": span_here(ctx)})
    infer = slither.worker(infer, batch_size=2)


class NeverUp(slither.Stage):
    def setup(self, ctx):
        raise RuntimeError("no model")

    def handle_item(self, item, ctx):
        return item


class Broken(slither.Pipe):
    never = slither.stage(NeverUp)
