"""Adapters of what the library reports to the tools that watch services.

Each is a module that needs an extra of its own, and is imported by itself: `otel` for OpenTelemetry, `prometheus` for
Prometheus.
"""
