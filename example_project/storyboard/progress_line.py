"""Show progress on a terminal as a bar, elsewhere as plain lines."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NoReturn, Self

from tqdm import tqdm

from session_mgmt.signals import progress_updated

if TYPE_CHECKING:
    from types import TracebackType

    from django.core.management.base import OutputWrapper

    from session_mgmt.models import GenerationSession
    from session_mgmt.schemas import ProgressUpdate

__all__ = ["ProgressLine"]

_logger = logging.getLogger("session_mgmt")


class ProgressLine:
    """Follow one session, from this process's own signals and from what `show` is given."""

    def __init__(self, session: GenerationSession, out: OutputWrapper) -> None:
        self._session_id = session.session_id
        self._total = session.request_data.num_scenes
        self._out = out
        self._log_level = _logger.level
        self._last: ProgressUpdate | None = None
        self._bar: tqdm[NoReturn] | None = None

    def __enter__(self) -> Self:
        if self._out.isatty():
            # The bar stays on its line: no line ends of the command's, no log lines in between.
            self._out.ending = ""
            _logger.setLevel(logging.WARNING)
            self._bar = tqdm(total=self._total, unit="scene", file=self._out, dynamic_ncols=True)
        progress_updated.connect(self._receive, weak=False)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        progress_updated.disconnect(self._receive)
        if self._bar is not None:
            self._bar.close()
            self._out.ending = "\n"
            _logger.setLevel(self._log_level)

    def show(self, progress: ProgressUpdate | None) -> None:
        """Show a step, once."""
        if progress is None or progress == self._last:
            return
        self._last = progress
        if self._bar is None:
            self._out.write(
                f"{progress.current_step}/{progress.total_steps} {progress.description}"
            )
            return
        self._bar.set_description_str(progress.description, refresh=False)
        self._bar.n = progress.current_step
        self._bar.refresh()

    def _receive(self, *, session_id: str, progress: ProgressUpdate, **_: object) -> None:
        if session_id == self._session_id:
            self.show(progress)
