"""Endpoints of the service, kept between calls: a new one costs a socket, a file name and a greeting per peer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from slither_actors.errors import SlitherError
from slither_actors.otp.endpoint import Endpoint


class Endpoints:
    """Lends each endpoint to one user at a time, from any thread.

    Args:
        make: makes a new endpoint.
        refuse: gives the error to raise instead, once the system is stopped or down.
    """

    def __init__(self, make: Callable[[], Endpoint], refuse: Callable[[], SlitherError | None]) -> None:
        self._make = make
        self._refuse = refuse
        # Re-entrant, since the garbage collector may end an abandoned stream anywhere, also within this lock.
        self._lock = threading.RLock()
        self._idle: list[Endpoint] = []
        self._lent: set[Endpoint] = set()
        self._closed = False

    def borrow(self) -> Endpoint:
        """An endpoint for the caller alone.

        Raises:
            SystemDown: the system is stopped or down.
        """
        error = self._refuse()
        if error is not None:
            raise error
        with self._lock:
            endpoint = self._idle.pop() if self._idle else self._make()
            self._lent.add(endpoint)
            return endpoint

    def give_back(self, endpoint: Endpoint) -> None:
        with self._lock:
            self._lent.discard(endpoint)
            # What still waits for a peer to read would wait for ever: nobody polls an endpoint that idles.
            if self._closed or endpoint.pending or self._refuse() is not None:
                endpoint.close()
            elif not endpoint.closed:
                endpoint.rest()
                self._idle.append(endpoint)

    @contextmanager
    def lent(self) -> Iterator[Endpoint]:
        """An endpoint for the time of a block."""
        endpoint = self.borrow()
        try:
            yield endpoint
        finally:
            self.give_back(endpoint)

    def close(self) -> None:
        """Close those that idle; those in use are woken, and closed when they are given back."""
        with self._lock:
            self._closed = True
            for endpoint in self._idle:
                endpoint.close()
            self._idle.clear()
            for endpoint in self._lent:
                endpoint.wake()
