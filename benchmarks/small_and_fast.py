"""Each way to compute a CLIP's vectors on this machine, end to end: ours against every setting of the peers.

python benchmarks/small_and_fast.py images PHOTOS [--model FOLDER] [--work FOLDER] [--rounds 3] [--only WORDS ...]
python benchmarks/small_and_fast.py texts SHARD.tar ...

A ViT-B/32 with random weights, unless `--model` names one (texts need its tokenizer). Peers are `transformers` as its
README uses it (a processor, batches of 32, in float32 and bfloat16, compiled, by `quantize_dynamic`) and its towers as
one exports them by hand to ONNX Runtime and OpenVINO. All start from files, or strings. Exports are made before, and
kept in `--work`. Each round has inputs of its own; all settings take turns. `--only`: the settings with these words.
"""

import argparse
import json
import random
import tarfile
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from measure import in_turn, random_clip, ratio, report
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

import sightline
from sightline.optimize.export import export

BATCH = 32
Encode = Callable[[list[Any]], Any]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=("images", "texts"))
    parser.add_argument("inputs", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=64, help="inputs in a round")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--mini", action="store_true", help="a model of the packaged one's size, to try the program")
    given = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch, torch.no_grad():
        model, work = given.model or Path(scratch) / "model", given.work or Path(scratch)
        if given.model is None:
            random_clip(model, given.mini)
        items = captions(given.inputs) if given.task == "texts" else sorted(given.inputs.glob("*.jpg"))
        random.Random(0).shuffle(items)
        sets = [[items[(n * given.size + i) % len(items)] for i in range(given.size)] for n in range(given.rounds + 1)]
        settings = ours(model, work) | (peers_of_texts if given.task == "texts" else peers_of_images)(model, work)
        base = "transformers, float32"
        chosen = {
            name: make(given.task)
            for name, make in settings.items()
            if name == base or not given.only or any(word in name for word in given.only)
        }
        report(str(Path(__file__).with_name(f"small_and_fast_{given.task}.py")), measured(chosen, base, sets))


def measured(settings: dict[str, Encode], base: str, sets: list[list[Any]]) -> dict[str, Any]:
    cosines: dict[str, list[float]] = {name: [] for name in settings}

    def compare(outputs: dict[str, Any]) -> None:
        for name, found in outputs.items():
            cosines[name].extend((found * outputs[base]).sum(axis=1))

    taken = in_turn(settings, sets, compare)
    rows: dict[str, Any] = {}
    for name, times in taken.items():
        rows[f"a second, {name}"] = len(sets[0]) / median(times)
        rows[f"against {base}, {name}"] = ratio(taken, base, name)
        rows[f"mean cosine, {name}"] = float(np.mean(cosines[name]))
    best = {
        side: min((name for name in taken if name.startswith("ours") == side), key=lambda name: median(taken[name]))
        for side in (True, False)
        if any(name.startswith("ours") == side for name in taken)
    }
    if len(best) == 2:
        rows[f"best, {best[True]} against {best[False]}"] = ratio(taken, best[False], best[True])
    return rows


def captions(shard: Path) -> list[str]:
    with tarfile.open(shard) as tar:
        files = [tar.extractfile(member) for member in tar.getmembers() if member.name.endswith(".json")]
        return [caption for file in files if file is not None for caption in json.load(file)["captions"]]


def ours(model: Path, work: Path) -> dict[str, Callable[[str], Encode]]:
    def loaded(place: Path, **options: Any) -> Callable[[str], Encode]:
        def make(task: str) -> Encode:
            encoder = sightline.load(place, **options)
            return encoder.encode_text if task == "texts" else encoder.encode_images

        return make

    def exported(to: Any, precision: Any) -> Callable[[str], Encode]:
        def make(task: str) -> Encode:
            folder = work / f"ours-{to}-{precision}"
            if not folder.exists():
                export(model, folder, to=to, precision=precision)
            return loaded(folder)(task)

        return make

    precisions = ("float32", "bfloat16", "int8")
    return {f"ours, {name}": loaded(model, precision=name) for name in precisions} | {
        f"ours, {to} {name}": exported(to, name) for to in ("onnx", "openvino") for name in ("float32", "int8")
    }


# --- peers


class Images(nn.Module):
    """The reference's tower for images, as one wraps it to export it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.model.get_image_features(pixel_values).pooler_output  # type: ignore[no-any-return,operator]


class Texts(nn.Module):
    """The reference's tower for texts."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.model.get_text_features(input_ids, attention_mask).pooler_output  # type: ignore[no-any-return,operator]


def peers_of_images(model: Path, work: Path) -> dict[str, Callable[[str], Encode]]:
    processor = CLIPImageProcessor.from_pretrained(model)

    def read(files: list[Path]) -> tuple[Tensor]:
        return (processor(images=[Image.open(file) for file in files], return_tensors="pt")["pixel_values"],)

    return peers(Images, model, work, read, ("pixel_values",), (torch.randn(2, 3, 224, 224),), {0: "batch"})


def peers_of_texts(model: Path, work: Path) -> dict[str, Callable[[str], Encode]]:
    tokenizer = CLIPTokenizer.from_pretrained(model)

    def read(texts: list[str]) -> tuple[Tensor, ...]:
        tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        return tokens["input_ids"], tokens["attention_mask"]

    example = read(["a dog runs", "two children play in the snow"])
    return peers(
        Texts, model, work, read, ("input_ids", "attention_mask"), example, {0: "batch", 1: "length"}
    )  # fmt: skip


def peers(
    kind: Any, model: Path, work: Path, read: Any, names: tuple[str, ...], example: Any, axes: dict[int, str]
) -> dict[str, Callable[[str], Encode]]:
    def tower(dtype: torch.dtype = torch.float32) -> nn.Module:
        made: nn.Module = kind(CLIPModel.from_pretrained(model, dtype=dtype, attn_implementation="sdpa").eval())
        return made

    def by(run: Callable[..., Any]) -> Encode:
        def encode(items: list[Any]) -> Any:
            parts = [run(*read(items[at : at + BATCH])) for at in range(0, len(items), BATCH)]
            found = np.concatenate([np.asarray(part, np.float32) for part in parts])
            return found / np.linalg.norm(found, axis=1, keepdims=True)

        return encode

    def by_torch(module: Any, dtype: torch.dtype = torch.float32) -> Encode:
        def run(*inputs: Tensor) -> Any:
            given = [each.to(dtype) if each.is_floating_point() else each for each in inputs]
            return module(*given).float().numpy()

        return by(run)

    def dynamic() -> Encode:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quantize: Any = torch.ao.quantization.quantize_dynamic
            return by_torch(quantize(tower(), {nn.Linear}, dtype=torch.qint8))

    def onnx() -> Path:
        path = work / f"{kind.__name__}.onnx"
        if not path.exists():
            shapes = tuple({axis: torch.export.Dim(name, max=4096 if axis == 0 else 77) for axis, name in axes.items()}
                           for _ in names)  # fmt: skip
            program = torch.onnx.export(tower(), example, dynamo=True, dynamic_shapes=shapes, input_names=list(names),
                                        output_names=["out"], verbose=False)  # fmt: skip
            assert program is not None
            program.save(str(path), external_data=False)
        return path

    def session(path: Path) -> Encode:
        import onnxruntime

        opened = onnxruntime.InferenceSession(path)
        taken = {given.name for given in opened.get_inputs()}
        return by(
            lambda *inputs: opened.run(None, {n: x.numpy() for n, x in zip(names, inputs, strict=True) if n in taken})[
                0
            ]
        )

    def rounded() -> Encode:
        from onnxruntime.quantization import quantize_dynamic

        path = work / f"{kind.__name__}-int8.onnx"
        if not path.exists():
            quantize_dynamic(onnx(), path)
        return session(path)

    def openvino(precision: str) -> Encode:
        import openvino

        made = openvino.Core().read_model(onnx())
        if precision == "int8":
            import nncf

            inputs = [example] * 16 if kind is Texts else [(torch.randn_like(example[0]),) for _ in range(16)]
            data = [dict(zip(names, (x.numpy() for x in each), strict=True)) for each in inputs]
            transformer = nncf.ModelType.TRANSFORMER
            made = nncf.quantize(made, nncf.Dataset(data), model_type=transformer, subset_size=16)
        hint = {"INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32"}
        compiled = openvino.Core().compile_model(made, "CPU", hint | {"PERFORMANCE_HINT": "LATENCY"})
        taken = {given.get_any_name() for given in compiled.inputs}
        return by(
            lambda *inputs: compiled({n: x.numpy() for n, x in zip(names, inputs, strict=True) if n in taken})[0].copy()
        )

    half = torch.bfloat16
    made: dict[str, Callable[[], Encode]] = {
        "transformers, float32": lambda: by_torch(tower()),
        "transformers, bfloat16": lambda: by_torch(tower(half), half),
        "transformers, compiled float32": lambda: by_torch(torch.compile(tower())),
        "transformers, compiled bfloat16": lambda: by_torch(torch.compile(tower(half)), half),
        "transformers, quantize_dynamic": dynamic,
        "by hand, ONNX Runtime float32": lambda: session(onnx()),
        "by hand, ONNX Runtime dynamic int8": rounded,
        "by hand, OpenVINO float32": lambda: openvino("float32"),
        "by hand, OpenVINO bfloat16": lambda: openvino("bfloat16"),
        "by hand, OpenVINO int8": lambda: openvino("int8"),
    }
    return {name: lambda task, make=make: make() for name, make in made.items()}  # type: ignore[misc]


if __name__ == "__main__":
    main()
