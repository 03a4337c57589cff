"""From a video to vectors in an index: how many times as fast as it plays, and where the time goes.

    python benchmarks/video_index.py VIDEO [--model FOLDER] [--rounds 5]

Without --model a ViT-B/32 with random weights in dtype "auto" sees eight frames of each moment. In turn, in one
process: the whole of `sync`, decoding and cutting alone, preparing and computing alone on moments in memory. Shares are
of processor time (all threads), for the parts overlap; the longer of the two parts alone is the limit.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import in_turn, random_clip, ratio, report

import sightline
from sightline.index import Table
from sightline.index.sync import sync
from sightline.index.video_items import video_items
from sightline.processing.video.sampling import duration


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("video", type=Path)
    arguments.add_argument("--model")
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    video, burnt = given.video.absolute(), dict[str, list[float]]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.model is None:
            random_clip(folder / "model")
        model = sightline.load(given.model or folder / "model")
        moments = [item.read(model)[0] for item in video_items(video, model)]

        def burn(what: str, work: Any) -> None:
            before = time.process_time()
            work()
            burnt.setdefault(what, []).append(time.process_time() - before)

        def whole(turn: int) -> None:
            burn("whole", lambda: sync(folder / f"index-{turn}", [video], model))

        def decode(turn: int) -> None:
            burn("decode", lambda: [item.end for item in video_items(video, model)])

        def compute(turn: int) -> None:
            burn("model", lambda: list(model.stream(moments, lambda frames: (frames, None), lambda frames: True)))

        taken = in_turn({"whole": whole, "decode": decode, "model": compute}, range(given.rounds + 1))
        assert Table.open(folder / "index-1").count() == len(moments)
    share = {what: statistics.median(burnt[what][1:]) / statistics.median(burnt["whole"][1:]) for what in burnt}
    plays = duration(video)
    report(
        __file__,
        {
            "video, seconds": plays,
            "moments": len(moments),
            "times as fast as it plays": plays / statistics.median(taken["whole"]),
            "decoding alone over the whole": ratio(taken, "decode", "whole"),
            "model alone over the whole": ratio(taken, "model", "whole"),
            "share of processor time, decoding": share["decode"],
            "share of processor time, preparing and model": share["model"],
            "share of processor time, rest": 1 - share["decode"] - share["model"],
            "cores kept busy": statistics.median(burnt["whole"][1:]) / statistics.median(taken["whole"]),
            "cores": os.cpu_count(),
        },
    )


if __name__ == "__main__":
    main()
