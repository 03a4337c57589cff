"""How many pairs a second the trainer learns from, beside `transformers` in a plain loop and open_clip's trainer.

python benchmarks/training_rate.py MODEL CAPTIONS [--open-clip FOLDER] [--sizes small ViT-B/32] [--pairs 8] [--steps 2]

MODEL is a small CLIP, for its size and its tokenizer; the other size is a ViT-B/32; both begin with random weights.
CAPTIONS is a Karpathy JSON. All learn from the same captions and random pictures, in batches that lie ready in memory,
with gradients clipped and fused AdamW, in float32 and under autocast in bfloat16. `transformers` is run twice: as its
examples do (its default attention, texts padded to 77 tokens), and as well as it can here (eager attention, texts
padded to the batch's longest). open_clip runs `train_one_epoch` of its own trainer, whose texts have 77 tokens. FOLDER
is where `pip install --no-deps --target FOLDER open_clip_torch ftfy timm` put it.
"""

import argparse
import json
import logging
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import torch
import transformers
from measure import in_turn, product_peak, ratio, report
from tokenizers import Tokenizer
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import sightline
from sightline.train.batch import Batch
from sightline.train.parallel import Parallel
from sightline.train.recipe import Recipe
from sightline.train.trainer import Trainer

RATE, DECAY, BETAS, CLIP = 1e-4, 0.2, (0.9, 0.98), 1.0
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
# Pairs a step, and steps: the first does not count.
SIZES = {"small": {"float32": (64, 7), "bfloat16": (128, 9)}, "ViT-B/32": {"float32": (32, 4), "bfloat16": (32, 6)}}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--open-clip", type=Path)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--pairs", type=int, help="a step, in place of this program's choice for each size")
    parser.add_argument("--steps", type=int, help="in place of this program's choice; the first does not count")
    given = parser.parse_args()
    if given.open_clip is not None:
        find_open_clip(given.open_clip)
    tokenizer = Tokenizer.from_file(str(given.model / "tokenizer.json"))
    tokenizer.no_padding()
    images = json.loads(given.captions.read_text())["images"]
    captions = [sentence["raw"] for image in images for sentence in image["sentences"]]
    random.Random(0).shuffle(captions)
    figures: dict[str, Any] = {"threads": torch.get_num_threads()}
    for size in given.sizes:
        config = transformers.CLIPConfig.from_pretrained(given.model) if size == "small" else transformers.CLIPConfig()
        config.text_config.eos_token_id = tokenizer.token_to_id("<|endoftext|>")
        for precision, (usual_pairs, usual_steps) in SIZES[size].items():
            pairs, steps = given.pairs or usual_pairs, given.steps or usual_steps
            inputs = [batch(config, tokenizer, captions[i * pairs : (i + 1) * pairs], i) for i in range(steps)]
            found = compare(config, precision, inputs, given.open_clip is not None)
            for name, value in found.items():
                figures[f"{size}, {precision}, batches of {pairs}: {name}"] = value
                print(f"{size}, {precision}: {name} {value}", flush=True)
    report(__file__, figures)


def batch(config: transformers.CLIPConfig, tokenizer: Tokenizer, captions: list[str], seed: int) -> dict[str, Any]:
    """Random pictures and these texts, padded to the longest and to 77."""
    ids = [encoding.ids for encoding in tokenizer.encode_batch(captions)]
    side, shortest = config.vision_config.image_size, max(map(len, ids))
    padded = torch.full((len(ids), 77), config.text_config.eos_token_id)
    mask = torch.zeros(len(ids), 77, dtype=torch.long)
    for i, text in enumerate(ids):
        padded[i, : len(text)], mask[i, : len(text)] = torch.tensor(text), 1
    pixels = torch.randn(len(ids), 3, side, side, generator=torch.Generator().manual_seed(seed))
    return {
        "pixels": pixels,
        "longest": {"input_ids": padded[:, :shortest].contiguous(), "attention_mask": mask[:, :shortest].contiguous()},
        "77": {"input_ids": padded, "attention_mask": mask},
    }


def compare(
    config: transformers.CLIPConfig, precision: str, inputs: list[dict[str, Any]], with_open_clip: bool
) -> dict[str, Any]:
    """Pairs a second of each, and how many times as many ours are."""
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        reference = transformers.CLIPModel(config).float()
        reference.save_pretrained(folder)
        ours = our_step(Path(folder), precision, len(inputs[0]["pixels"]))
    theirs = loop(reference, precision)
    candidates: dict[str, Callable[[Any], Any]] = {
        "sightline": ours,
        "transformers as in its examples": lambda given: theirs("sdpa", given["pixels"], given["77"]),
    }
    if with_open_clip:
        candidates["open_clip's trainer"] = open_clip_step(config, precision)
    candidates["transformers at its best"] = lambda given: theirs("eager", given["pixels"], given["longest"])
    losses: list[dict[str, float]] = []
    taken = in_turn(candidates, inputs, losses.append)
    pairs, dtype = len(inputs[0]["pixels"]), DTYPES[precision]
    figures: dict[str, Any] = {}
    for name, seconds in taken.items():
        figures[f"{name}, pairs/s"] = pairs / sorted(seconds)[len(seconds) // 2]
    for name in list(candidates)[1:]:
        figures[f"sightline against {name}"] = ratio(taken, name, "sightline")
    vision = config.vision_config
    rows, width = pairs * ((vision.image_size // vision.patch_size) ** 2 + 1), vision.hidden_size
    peak = product_peak([(rows, width, 3 * width), (rows, width, 4 * width), (rows, 4 * width, width)], dtype)
    with FlopCounterMode(display=False) as counted:
        ours(inputs[-1])
    figures["limit, products: GFLOP/s"] = peak / 1e9
    products = counted.get_total_flops() / pairs
    figures["sightline's share of it"] = products * figures["sightline, pairs/s"] / peak
    # Both begin with the same weights; open_clip draws its own, and the reference's are trained twice a round.
    figures["loss of the first step"] = losses[0]["sightline"]
    figures["the same of transformers at its best"] = losses[0]["transformers at its best"]
    return figures


def our_step(folder: Path, precision: str, pairs: int) -> Callable[[dict[str, Any]], float]:
    model = sightline.CLIPModel.from_pretrained(folder, dtype="float32")
    recipe = Recipe(
        model=lambda: (model, cast(Any, None)),
        data=lambda *_: cast(Any, None),
        steps=10_000,
        batch_size=pairs,
        lr=RATE,
        warmup_steps=0,
        weight_decay=DECAY,
        betas=BETAS,
        max_grad_norm=CLIP,
        precision=cast(Any, precision),
    )
    trainer = Trainer(recipe, folder / "run", Parallel())

    def step(given: dict[str, Any]) -> float:
        texts = given["longest"]
        made = Batch(given["pixels"], texts["input_ids"], texts["attention_mask"], torch.arange(pairs))
        return trainer.step(0, made)["loss"]

    return step


def adamw(model: nn.Module) -> torch.optim.AdamW:
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": DECAY},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=RATE, betas=BETAS, fused=True)


def loop(model: Any, precision: str) -> Callable[[str, torch.Tensor, dict[str, torch.Tensor]], float]:
    """One step as one writes it for `transformers`."""
    optimizer = adamw(model.train())

    def step(attention: str, pixels: torch.Tensor, texts: dict[str, torch.Tensor]) -> float:
        model.set_attn_implementation(attention)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = model(pixel_values=pixels, **texts, return_loss=True).loss
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        return loss.item()  # type: ignore[no-any-return]

    return step


def find_open_clip(folder: Path) -> None:
    """Makes it importable. It wants torchvision for pictures on disk and timm for other towers: no part of this."""
    sys.path.append(str(folder))
    sys.modules["timm"] = cast(Any, None)

    class Anything(type):
        def __getattr__(cls, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return Anything(name, (), {})

    class Empty(ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return Anything(name, (), {})

    for name in ("", ".transforms", ".transforms.functional", ".ops", ".ops.misc", ".datasets", ".utils"):
        module = sys.modules[f"torchvision{name}"] = Empty(f"torchvision{name}")
        module.__path__ = []
        parent, _, last = f"torchvision{name}".rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)


def open_clip_step(config: transformers.CLIPConfig, precision: str) -> Callable[[dict[str, Any]], float]:
    """One epoch, of one batch, of its trainer."""
    import open_clip
    from open_clip.loss import ClipLoss
    from open_clip_train.train import train_one_epoch

    logging.getLogger().setLevel(logging.ERROR)
    text, vision = config.text_config, config.vision_config
    model = open_clip.CLIP(
        config.projection_dim,
        {
            "image_size": vision.image_size,
            "layers": vision.num_hidden_layers,
            "width": vision.hidden_size,
            "head_width": vision.hidden_size // vision.num_attention_heads,
            "patch_size": vision.patch_size,
        },
        {
            "context_length": text.max_position_embeddings,
            "vocab_size": text.vocab_size,
            "width": text.hidden_size,
            "heads": text.num_attention_heads,
            "layers": text.num_hidden_layers,
        },
        quick_gelu=True,
        output_dict=True,
    )
    optimizer, losses = adamw(model), []
    loss = ClipLoss(cache_labels=True)
    loss.register_forward_hook(lambda _, __, found: losses.append(found["contrastive_loss"].item()))
    arguments = SimpleNamespace(
        device="cpu",
        precision={"float32": "fp32", "bfloat16": "amp_bf16"}[precision],
        distill=False,
        accum_freq=1,
        skip_scheduler=True,
        grad_clip_norm=CLIP,
        horovod=False,
        rank=0,
        local_rank=0,
        world_size=1,
        log_every_n_steps=100,
        batch_size=1,
        wandb=False,
    )

    class One(list[Any]):
        num_batches, num_samples = 1, 1

    def step(given: dict[str, Any]) -> float:
        one = One([(given["pixels"], given["77"]["input_ids"])])
        data = {"train": SimpleNamespace(dataloader=one, set_epoch=lambda epoch: None)}
        train_one_epoch(model, data, loss, 0, optimizer, None, None, None, arguments)
        return float(losses[-1])

    return step


if __name__ == "__main__":
    main()
