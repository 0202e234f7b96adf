"""Waiting for what one peer sends, and for nothing else: a system call less than `Hub.poll` takes."""

from __future__ import annotations

import select

from slither_actors.transport._links import Incoming
from slither_actors.transport.hub import Hub
from slither_actors.transport.spinning import Spinning

AWAIT_S = 0.25  # how long it waits at most


class Awaiting:
    """For the owner of a hub that has asked one peer and has time."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._link: Incoming | None = None
        self._spinning = Spinning(select.poll().poll)

    def receive(self, address: str) -> None:
        """Wait for what the peer at `address` sends, for `AWAIT_S` at most, and read it into the hub's inbox.

        Where that stays empty only `poll` can tell what there is. Nothing else is noticed meanwhile, `wake` and the
        ends of other peers included.
        """
        link = self._link
        if link is None or link.peer != address or link.sock.fileno() < 0:
            link = self._link = self._hub.incoming(address)
            if link is None:
                return
            link.block(AWAIT_S)
            poller = select.poll()
            poller.register(link.fd, select.POLLIN)
            self._spinning = Spinning(poller.poll)
        self._spinning.found()
        self._hub.read(link)
