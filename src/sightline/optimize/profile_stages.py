"""Where an encoder's threads spend their time: reading, decoding, preprocessing, tokenizing, computing.

The threads work as always; a thread beside them looks every millisecond at what each is doing.
"""

import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

SECONDS = 1.0
"""How long is watched, at least."""
_EVERY = 0.001
_COMPUTE = "sightline-compute"
"""How the names of an encoder's threads begin."""
WAITING = "waiting"
_WAITS = (threading.__file__, queue.__file__)
"""Files of the functions by which a thread waits for another."""
_ROOT = str(Path(__file__).parent.parent)
_STAGES = (
    ("encoder/engines/pytorch.py", "run", "computing"),
    ("processing/tokenizer.py", "pad", "padding"),
    ("processing/tokenizer.py", "", "tokenizing"),
    ("processing/text_counts.py", "", "tokenizing"),
    ("processing/image/thumbnail.py", "", "thumbnails"),
    ("processing/metadata/", "", "metadata"),
    ("processing/image/profile.py", "normalize", "normalizing"),
    ("processing/image/profile.py", "", "resizing and cropping"),
    ("processing/image/", "", "decoding"),
    ("index/item.py", "", "reading and hashing files"),
    ("encoder/image_batches.py", "_encode", "collecting"),
    ("encoder/image_batches.py", "_forward", "collecting"),
    ("encoder/encoder.py", "embed_text", "collecting"),
)
"""File (or folder), function ("" for any) and stage. The innermost function on the stack that is named here counts."""


@dataclass(frozen=True)
class Stage:
    """What the threads do for `seconds` of each item, added up over all of them, and the share of their time."""

    name: str
    seconds: float
    share: float


@dataclass(frozen=True)
class Stages:
    """`items` through an encoder's `threads` in `seconds`; the stages' times add up to threads x seconds."""

    items: int
    seconds: float
    threads: int
    stages: list[Stage]


def watch(work: Callable[[], int], threads: int, least: float = SECONDS) -> Stages:
    """Runs `work`, which returns how many items it encoded with as many `threads`, again and again for `least`
    seconds."""
    watcher = _Watcher(threads)
    watcher.start()
    items, start = 0, time.perf_counter()
    try:
        while (seconds := time.perf_counter() - start) < least:
            items += work()
    finally:
        watcher.stop()
    total = max(watcher.ticks.total(), 1)
    each = seconds * threads / max(items, 1)
    found = [Stage(name, each * count / total, count / total) for name, count in watcher.ticks.most_common()]
    return Stages(items, seconds, threads, sorted(found, key=lambda stage: (stage.name == WAITING, -stage.seconds)))


class _Watcher(threading.Thread):
    """Counts at how many looks a thread was in each stage: the encoder's, and the one that made this object."""

    def __init__(self, threads: int) -> None:
        super().__init__(name="sightline-profile", daemon=True)
        self.ticks: Counter[str] = Counter()
        self._threads, self._caller, self._end = threads, threading.get_ident(), threading.Event()

    def run(self) -> None:
        while not self._end.wait(_EVERY):
            ours = {thread.ident for thread in threading.enumerate() if thread.name.startswith(_COMPUTE)}
            frames = sys._current_frames()
            stages = [_stage(frame) for ident, frame in frames.items() if ident in ours or ident == self._caller]
            named = [stage for stage in stages if stage is not None]
            self.ticks.update(named)
            self.ticks[WAITING] += max(0, self._threads - len(named))

    def stop(self) -> None:
        self._end.set()
        self.join()


def _stage(frame: FrameType | None) -> str | None:
    """What a thread with this innermost frame does; None where it waits, or does something else."""
    if frame is None or frame.f_code.co_filename.endswith(_WAITS):
        return None
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(_ROOT):
            file = code.co_filename[len(_ROOT) + 1 :].replace("\\", "/")
            for place, function, stage in _STAGES:
                if file.startswith(place) and function in ("", code.co_name):
                    return stage
        frame = frame.f_back
    return None
