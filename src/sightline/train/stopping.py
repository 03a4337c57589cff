"""Ctrl-C and SIGTERM during a run: the first ends the step, the second ends the process."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any


class StopSignals:
    """Whether a signal has asked the run to stop."""

    def __init__(self) -> None:
        self.asked = False
        self._may_interrupt = False
        self._before: dict[int, Any] = {}

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Within, the first SIGTERM or Ctrl-C is noted; the next one is handled as before."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        for number in self._before:
            signal.signal(number, self._ask)
        try:
            yield
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Within, the first signal ends the work at once, without an error: for what is done again later."""
        try:
            self._may_interrupt = True
            yield
        except KeyboardInterrupt:
            if not self.asked:
                raise
        finally:
            self._may_interrupt = False

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(number, self._before[number])
        if self._may_interrupt:
            raise KeyboardInterrupt
        if number == signal.SIGINT:
            with suppress(OSError, ValueError):
                os.write(sys.stderr.fileno(), b"\nstopping after this step and its checkpoint; Ctrl-C again: at once\n")
