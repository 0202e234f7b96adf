"""A block of the service that holds a session open, as `System.session()` does it with calls to a dispatcher."""

from __future__ import annotations

from typing import Any

from slither_actors._codec import encode
from slither_actors._letter import opened
from slither_actors.dispatch.sessions import BeginSession, CloseSession
from slither_actors.errors import NoProcess
from slither_actors.otp.endpoint import Ended
from slither_actors.otp.messages import Call, Reply
from slither_actors.testing._service import Party, SimulatedEndpoint
from slither_actors.testing._tree import Tree
from slither_actors.transport.hub import Undelivered
from slither_actors.workers.sessions import SessionTicket

_NUMBER = 1


class HeldSession:
    """One block.

    Args:
        tree: where the dispatcher is.
        dispatcher: its name.
        ticket: the session's options; has the token of the handle while the block is open.
    """

    def __init__(self, tree: Tree, dispatcher: str, ticket: SessionTicket) -> None:
        self.ticket = ticket
        self._tree = tree
        self._dispatcher = dispatcher

    def begin(self, party: Party) -> None:
        """Open the handle, of a dispatcher that may be restarted meanwhile.

        Raises:
            SessionLimit: there are as many sessions as there may be.
        """
        while True:
            party.wait(lambda: self._tree.find(self._dispatcher) is not None)
            try:
                token: int = self._ask(party, BeginSession(self.ticket.with_token(0)))
            except NoProcess:
                continue
            self.ticket = self.ticket.with_token(token)
            return

    def end(self, party: Party) -> None:
        """Close it, and wait for the stop hook; a dispatcher that died took the session along."""
        try:
            self._ask(party, CloseSession(self.ticket))
        except NoProcess:
            return

    def _ask(self, party: Party, request: Any) -> Any:
        ref = self._tree.find(self._dispatcher)
        if ref is None:
            raise NoProcess(self._dispatcher)
        endpoint = SimulatedEndpoint(party, self._tree, f"{party.address}, {type(request).__name__} to {ref.address}")
        forget = endpoint.watch(ref)
        try:
            endpoint.post(ref.address, Call(_NUMBER, encode(request)))
            while True:
                received = endpoint.receive(None)
                if received is None:
                    continue
                answer = received[0]
                if isinstance(answer, Reply):
                    value, error = opened(answer.outcome, lambda: "the answer")
                    if error is not None:
                        raise error
                    return value
                if isinstance(answer, Ended | Undelivered):
                    raise NoProcess(self._dispatcher)
        finally:
            forget()
            endpoint.close()
