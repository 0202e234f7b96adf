"""A pytest plugin that puts one system base under Thespian's own tests.

Those take their system from a fixture `asys`, which runs each test on every base that Thespian has. It is replaced
before a test module imports it. Tests that do without a system, or that start one of a base that they name
themselves, say nothing about ours, and are left out.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import thespian.test as suite
from thespian.actors import ActorSystem

from slither_actors.transport.address import RUN_DIRECTORY
from slither_actors.transport.process import become_subreaper, end_descendants
from slither_actors.transport.rundir import RunDirectory
from slither_actors.transport.unix_base import UnixSystemBase

BASES = {"unix": "multiprocUnixBase", "tcp": "multiprocTCPBase"}

_NO_PORT = "systems register with one another by address and port, and here are none"

# What the Unix base does not do, and why; docs/transport.md says so too.
DIFFERENCES = {
    "testConnectToExistingActorSystem": "a system lets in nobody who cannot show its cookie, so two never talk",
    "test_Registration": _NO_PORT,
    "test_RegistrationNotificationWithActorAddress": _NO_PORT,
    "test_RegistrationNotificationWithAddressString": _NO_PORT,
    "test_deRegistration": _NO_PORT,
    "test_publicAddrDeRegistration": _NO_PORT,
}
_CAPABILITIES = {"Foo Allowed": True, "Cows Allowed": True, "Dogs Allowed": True, "dog": "food"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--system-base", choices=tuple(BASES), required=True)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--system-base") == "unix":
        become_subreaper()  # as the host is: an admin detaches from its parent, and waits for another one
        suite.asys = _asys
        suite.similar_asys = _unix_system


def pytest_collection_modifyitems(config: pytest.Config, items: list[Any]) -> None:
    base = BASES[config.getoption("--system-base")]
    kept = [item for item in items if "asys" in item.fixturenames and item.callspec.params["asys"] == base]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
    if base == BASES["unix"]:
        for item in items:
            if item.originalname in DIFFERENCES:
                item.add_marker(pytest.mark.skip(DIFFERENCES[item.originalname]))


class _Stub:
    """What a system base wants of an `ActorSystem` that is still being made."""

    def __init__(self, capabilities: dict[str, Any]) -> None:
        self.capabilities = capabilities


class _UnixSystem(ActorSystem):  # type: ignore[misc]
    base_name = BASES["unix"]
    port_num = None
    txonly = False


def _unix_system(
    asys: Any = None, in_convention: bool = False, start_wait: bool = True, capabilities: Any = None
) -> Any:
    """A system of its own; the signature is that of `thespian.test.similar_asys`."""
    if in_convention:
        pytest.skip("systems on Unix sockets join no convention")
    directory = RunDirectory.create(f"suite-{secrets.token_hex(4)}")
    given = {**(capabilities or {}), RUN_DIRECTORY: str(directory.path)}
    base = UnixSystemBase(_Stub(given), may_start=True)
    system = _UnixSystem(systemBase=base, capabilities=given, transientUnique=True)
    orderly = system.shutdown

    def shutdown() -> None:
        orderly()
        directory.remove()

    system.shutdown = shutdown
    return system


@pytest.fixture(params=[BASES["unix"]])
def _asys() -> Iterator[Any]:
    system = _unix_system(capabilities=dict(_CAPABILITIES))
    yield system
    system.shutdown()
    end_descendants()
