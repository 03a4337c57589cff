"""Eight frames of each moment of 60 seconds of 720p H.264, against decoding the video from its beginning to its end.

    python benchmarks/video_decoding.py PHOTOS [--video FILE] [--seconds 60] [--rounds 5]

The video is drawn from the photos and encoded by x264 as it comes; with --video it is kept in FILE, and taken from
there if it is there already. Ours finds the moments itself (`moments`), or takes their times (`frames_at`, one call).
The peers get the frames' numbers and decode in order:

- "a plain loop": `for i, frame in enumerate(container.decode(video=0)): if i in wanted: frame.to_image()`, PyAV as it
  comes (one thread for x264's videos), which is how its users sample a video
- "every frame": the same loop, but each frame becomes a picture, as where a video is read first and sampled then; on
  the first ten seconds, against ours on these
- "the best loop": FFmpeg's threads on all cores or on none, whichever is faster here, and our conversion to 336 pixels

The limit: decoding all frames that others refer to, on all cores, without looking at any.
"""

import argparse
import random
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from measure import in_turn, ratio, report
from PIL import Image

from sightline.processing.video.moments import moments
from sightline.processing.video.reader import VideoReader
from sightline.processing.video.sampling import frames_at, sample_frames
from sightline.processing.video.scan import scan_frames

SIZE, RATE = (1280, 720), 30
COUNT, SIDE = 8, 224


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("photos", type=Path)
    arguments.add_argument("--video", type=Path)
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        video = given.video or Path(scratch) / "video.mp4"
        if not video.exists():
            draw(video, sorted(given.photos.glob("*.jpg")), given.seconds)
        short = Path(scratch) / "short.mp4"
        beginning(video, short, 10)
        found = list(moments(video, COUNT, SIDE))
        times = [m.start + (m.end - m.start) * (i + 0.5) / COUNT for m in found for i in range(COUNT)]
        taken = in_turn(
            {
                "moments": lambda _: sum(len(moment.frames) for moment in moments(video, COUNT, SIDE)),
                "frames_at": lambda _: len(frames_at(video, times, SIDE)),
                "a plain loop": lambda _: plain(video, times),
                "the best loop, no threads": lambda _: best(video, times, "NONE"),
                "the best loop, threads": lambda _: best(video, times, "FRAME"),
                "8 frames of the video": lambda _: len(sample_frames(video, COUNT, short_side=SIDE)),
                "a plain loop, 8 frames": lambda _: plain(
                    video, [given.seconds * (i + 0.5) / COUNT for i in range(COUNT)]
                ),
                "limit": lambda _: sum(1 for _ in scan_frames(video, None, lambda reader, reduced: None)),
            },
            range(given.rounds + 1),
            lambda outputs: print({name: output for name, output in outputs.items() if name != "limit"}, flush=True),
        )
        few = in_turn(
            {
                "moments": lambda _: sum(len(moment.frames) for moment in moments(short, COUNT, SIDE)),
                "every frame": lambda _: every(short),
            },
            range(3),
        )
    loops = ("the best loop, no threads", "the best loop, threads")
    figures: dict[str, Any] = {
        "video, MB": video.stat().st_size / 1e6 if video.exists() else None,
        "moments": len(found),
        "every frame over moments": ratio(few, "every frame", "moments"),
        "a plain loop over moments": ratio(taken, "a plain loop", "moments"),
        "the best loop over moments": min(ratio(taken, loop, "moments") for loop in loops),
        "a plain loop over frames_at": ratio(taken, "a plain loop", "frames_at"),
        "the best loop over frames_at": min(ratio(taken, loop, "frames_at") for loop in loops),
        "8 frames of the whole video: a plain loop over sample": ratio(
            taken, "a plain loop, 8 frames", "8 frames of the video"
        ),
        "moments over the limit": ratio(taken, "moments", "limit"),
        "times as fast as it plays": given.seconds / sorted(taken["moments"])[len(taken["moments"]) // 2],
    }
    report(__file__, figures)


def plain(video: Path, times: list[float]) -> int:
    wanted = {int(time * RATE) for time in times}
    pictures = []
    with av.open(str(video)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i in wanted:
                pictures.append(frame.to_image())
    return len(pictures)


def every(video: Path) -> int:
    with av.open(str(video)) as container:
        return len([frame.to_image() for frame in container.decode(video=0)])


def best(video: Path, times: list[float], threads: str) -> int:
    wanted = {int(time * RATE) for time in times}
    pictures = []
    with VideoReader(video, SIDE, threads=threads) as reader:
        for i, (_, frame) in enumerate(reader.frames()):
            if i in wanted:
                pictures.append(reader.to_image(reader.reduce(frame)))
    return len(pictures)


def beginning(video: Path, into: Path, seconds: int) -> None:
    with av.open(str(video)) as given, av.open(str(into), "w") as out:
        stream = out.add_stream_from_template(given.streams.video[0])
        for packet in islice(given.demux(video=0), seconds * RATE):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)


def draw(video: Path, photos: list[Path], seconds: int) -> None:
    """Shots of 2 to 7 seconds: a photo panned and zoomed, a piece of another that crosses it, a sensor's noise."""
    draw = random.Random(0)
    noise = [np.random.default_rng(i).normal(0, 3, (SIZE[1], SIZE[0], 1)).round().astype(np.int16) for i in range(8)]
    with av.open(str(video), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.thread_type = "AUTO"  # PyAV's own choice makes x264 cut each frame into slices, which nobody does
        left = seconds * RATE
        while left:
            length = min(left, draw.randint(2 * RATE, 7 * RATE))
            left -= length
            for picture in shot(draw.uniform, Image.open(draw.choice(photos)), Image.open(draw.choice(photos)), length):
                noisy = (np.asarray(picture) + draw.choice(noise)).clip(0, 255).astype(np.uint8)
                out.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, "rgb24")))
        out.mux(stream.encode(None))


def shot(
    uniform: Callable[[float, float], float], back: Image.Image, front: Image.Image, length: int
) -> Iterator[Image.Image]:
    back = back.convert("RGB").resize((1920, 1280), Image.Resampling.LANCZOS)
    front = front.convert("RGB").crop((100, 60, 340, 300))
    x, y, zoom = uniform(0, 400), uniform(0, 300), uniform(1.0, 1.3)
    right, down, in_ = uniform(-40, 40) / RATE, uniform(-25, 25) / RATE, uniform(-0.03, 0.03) / RATE
    left, top = uniform(0, 1000), uniform(0, 480)
    across, along = uniform(-250, 250) / RATE, uniform(-100, 100) / RATE
    for i in range(length):
        z = zoom + i * in_
        view = (z, 0, x + i * right, 0, z, y + i * down)
        picture = back.transform(SIZE, Image.Transform.AFFINE, view, Image.Resampling.BILINEAR, fillcolor=(90, 90, 90))
        picture.paste(front, (round(left + i * across), round(top + i * along)))
        yield picture


if __name__ == "__main__":
    main()
