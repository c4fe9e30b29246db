"""A proxy before PostgreSQL that cuts connections at COMMIT: before it, or before its answer.

It knows as much of the wire protocol as that takes: where messages begin and end, and which of a
client's messages asks for which SQL, in the simple and in the extended protocol. No TLS.
"""

from __future__ import annotations

import enum
import random
import re
import socket
import struct
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from select import select

_COMMIT = rb"\s*(COMMIT|END)\b"
_PATIENCE = 30.0


class Cut(enum.Enum):
    """Where a connection is cut.

    Attributes:
        REQUEST: the server never sees the statement, only a client that has gone.
        REPLY: the server has done it and answered, and the client never sees the answer.
    """

    REQUEST = "cut_request"
    REPLY = "cut_reply"


# A plan says what becomes of a COMMIT on the connection of this number; they count from 1.


def nothing(number):
    return None


def next_ones(cut, times=1):
    """Plan to cut the next COMMITs, on whatever connection they come."""
    left = [cut] * times
    return lambda number: left.pop() if left else None


def on_connections(cut, *numbers):
    """Plan to cut every COMMIT on these connections."""
    return lambda number: cut if number in numbers else None


def at_random(seed, request=0.0, reply=0.0):
    """Plan to cut with these probabilities, in an order that the seed repeats."""
    draw = random.Random(seed).random

    def plan(number):
        drawn = draw()
        if drawn < request:
            return Cut.REQUEST
        return Cut.REPLY if drawn < request + reply else None

    return plan


class Proxy:
    """Listens on TCP while the block runs and passes everything on to a UNIX socket.

    Attributes:
        plan: what to do at a COMMIT; set it at any moment.
        pattern: what is a COMMIT; another regular expression cuts at other statements.
        counts: how many "connections" were made, "refused", and how often the pattern was "seen",
            "cut_request" and "cut_reply".
    """

    def __init__(self, server_socket):
        self.plan = nothing
        self.pattern = _COMMIT
        self.counts = Counter()
        self._server_socket = server_socket
        self._refusing = False
        self._lock = threading.Lock()
        self._threads = []

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()
        # All threads wait for the far end of this pair, and closing the near one ends them.
        self._stop, self.stopped = socket.socketpair()
        self._start(self._accept)
        return self

    def __exit__(self, *_):
        self._stop.close()
        for thread in self._threads:
            thread.join(_PATIENCE)
            assert not thread.is_alive()
        self._listener.close()
        self.stopped.close()

    @property
    def address(self):
        """What replaces the server's in an entry of DATABASES."""
        return {"HOST": self.host, "PORT": str(self.port)}

    @property
    def url(self):
        """A URL for other processes."""
        return (
            f"postgres://postgres@{self.host}:{self.port}/session_mgmt"
            "?sslmode=disable&gssencmode=disable"
        )

    @contextmanager
    def refusing(self):
        """Close every new connection at once while the block runs; those that exist go on."""
        self._refusing = True
        try:
            yield
        finally:
            self._refusing = False

    def judge(self, sql, number):
        """Return how to cut a connection that asks for this SQL, or None."""
        if not re.match(self.pattern, sql, re.IGNORECASE):
            return None
        with self._lock:
            self.counts["seen"] += 1
            return self.plan(number)

    def count(self, what):
        with self._lock:
            self.counts[what] += 1

    def _start(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while self.stopped not in select([self._listener, self.stopped], [], [])[0]:
            client, _ = self._listener.accept()
            if self._refusing:
                self.count("refused")
                client.close()
            else:
                self.count("connections")
                self._start(self._serve, client, self.counts["connections"])

    def _serve(self, client, number):
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            client.settimeout(_PATIENCE)
            server.settimeout(_PATIENCE)
            server.connect(self._server_socket)
            _pass_on(self, client, server, number)


def _pass_on(proxy, client, server, number):
    """Pass on what both say until one has gone or the proxy's plan ends it."""
    requests, answer = _Requests(), None
    while proxy.stopped not in (ready := select([client, server, proxy.stopped], [], [])[0]):
        source = ready[0]
        if not (data := source.recv(65536)):
            return
        if source is server and answer is None:
            client.sendall(data)
        elif source is server and any(message[:1] == b"Z" for message in answer.feed(data)):
            return proxy.count(Cut.REPLY.value)
        for message, sql in requests.feed(data) if source is client else ():
            cut = sql and proxy.judge(sql, number)
            if cut is Cut.REQUEST:
                return proxy.count(cut.value)
            if cut is Cut.REPLY:
                answer = _Messages()
            server.sendall(message)


class _Messages:
    """Splits a stream into messages: a letter, the length of the rest, the rest."""

    def __init__(self, first_has_type=True):
        self.has_type = first_has_type
        self._data = b""

    def feed(self, data):
        """Yield each message that is complete now."""
        self._data += data
        # `has_type` may change at every message.
        while len(self._data) >= (start := int(self.has_type)) + 4:
            (length,) = struct.unpack_from("!I", self._data, start)
            if len(self._data) < start + length:
                return
            message, self._data = self._data[: start + length], self._data[start + length :]
            yield message


class _Requests:
    """Tells which SQL each message of a client wants executed."""

    def __init__(self):
        self._messages = _Messages(first_has_type=False)
        self._statements = {}
        self._portals = {}

    def feed(self, data):
        """Yield each message with its SQL, or with None."""
        for message in self._messages.feed(data):
            if self._messages.has_type:
                yield message, self._sql(message[:1], message[5:].split(b"\0"))
            else:
                # TLS and its like are asked for with other numbers, and may be refused.
                self._messages.has_type = message[4:6] == b"\0\3"
                yield message, None

    def _sql(self, letter, words):
        if letter == b"Q":
            return words[0]
        if letter == b"P":
            self._statements[words[0]] = words[1]
        if letter == b"B":
            self._portals[words[0]] = self._statements.get(words[1])
        return self._portals.get(words[0]) if letter == b"E" else None
