"""A TCP gateway before a broker, which a test opens and shuts: to clients it is the broker."""

import socket
import threading
from contextlib import suppress

from tests.engines.brokers import free_port


class Gateway:
    """Passes bytes on while it is open; when it is shut nothing listens and connections break."""

    def __init__(self, target):
        self.port = free_port()
        self._target = target
        self._sockets = []

    def open(self):
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._sockets = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def shut(self):
        for end in self._sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._sockets = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shut()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=_pass_on, args=pair, daemon=True).start()


def _pass_on(source, sink):
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
