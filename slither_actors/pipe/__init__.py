"""Declared topologies of stages, and what decides where an item goes next.

`declarations` is what stands in a class body, `definition` what it means (checked), `pipe` the class that ties both;
`stage` is the actor that plug-ins subclass, around the pure `_stage_run`; `plan` lays a run over running stages.
"""
