"""Keeps the demo's processes alive, and ends them all together."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["KeepsDyingError", "Supervisor"]

_DEATHS: Final = 5
_WITHIN: Final = 10.0
_PATIENCE: Final = 15.0


class KeepsDyingError(Exception):
    """A process died again and again; the message says which and how."""


class _Child:
    def __init__(self, name: str, arguments: Sequence[str], descriptors: Sequence[int]) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "example_project.demo_child", *arguments]
        self._descriptors = descriptors
        self._deaths: deque[float] = deque(maxlen=_DEATHS)
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 # this project's own module
            self._command,
            stdin=subprocess.PIPE,
            pass_fds=self._descriptors,
            start_new_session=True,  # Ctrl-C is for the demo alone, which then asks its children
        )

    def check(self) -> None:
        """Start the process again if it died."""
        code = self.process.poll()
        if code is None:
            return
        how = _describe(code)
        now = time.monotonic()
        self._deaths.append(now)
        if len(self._deaths) == _DEATHS and now - self._deaths[0] < _WITHIN:
            raise KeepsDyingError(
                f"The {self.name} died {_DEATHS} times within {_WITHIN:.0f} s, at last "
                f"with {how}: see its messages above"
            )
        print(f"The {self.name} died with {how}; it is started again.")
        self._close_pipe()
        self.process = self._start()

    def wait(self, deadline: float) -> None:
        """Wait for the end, and force it at the deadline."""
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            print(f"The {self.name} did not stop within {_PATIENCE:.0f} s; it is killed.")
            self.process.kill()
            self.process.wait()
        self._close_pipe()

    def _close_pipe(self) -> None:
        if self.process.stdin:
            self.process.stdin.close()


class Supervisor:
    """Runs named processes from the beginning to the end of a `with` block.

    Args:
        commands: for each name the arguments of `example_project.demo_child`.
        descriptors: open files that the processes inherit.
    """

    def __init__(
        self, commands: Mapping[str, Sequence[str]], descriptors: Sequence[int] = ()
    ) -> None:
        self._commands = commands
        self._descriptors = descriptors
        self._children: list[_Child] = []

    def __enter__(self) -> Self:
        """Start all processes."""
        for name, arguments in self._commands.items():
            self._children.append(_Child(name, arguments, self._descriptors))
        return self

    def __exit__(self, *_: object) -> None:
        """Ask all processes to stop; kill those that do not."""
        for child in self._children:
            child.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _PATIENCE
        for child in self._children:
            child.wait(deadline)

    def check(self) -> None:
        """Start again what died.

        Raises:
            KeepsDyingError: that does not help.
        """
        for child in self._children:
            child.check()


def _describe(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
