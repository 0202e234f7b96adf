"""`Root`: the supervisor at the top of the tree."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import attrs

from slither_actors.otp.messages import TreeDown, Up
from slither_actors.otp.ref import Ref
from slither_actors.otp.supervisor import Supervisor

REGISTRY = "registry"


class Root(Supervisor):
    """The top of the tree. Its first child is the registry, of which all later ones are told."""

    def child_up(self, ref: Ref, info: Any) -> None:
        if ref.name == REGISTRY:
            self.surroundings = attrs.evolve(self.surroundings, registry=ref.address)
            self._tell_registry(Up(self.ref, "supervisor"))
            self.post(ref.address, Up(ref, "worker"))
            if self.surroundings.gateway is not None:
                self.post(self.surroundings.gateway, Up(ref, "worker"))  # a restarted one has a new address

    @property
    def ref(self) -> Ref:
        return Ref("root", self.life.incarnation, self.address, os.getpid())

    def start_info(self) -> Any:
        return self.surroundings.registry

    def gave_up(self, causes: Sequence[str]) -> None:
        if self.surroundings.gateway is not None:
            self.post(self.surroundings.gateway, TreeDown(tuple(causes)))
