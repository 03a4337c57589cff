"""The recipe of "mini-align", the ALIGN that ships in the package: 2.3 M parameters, learned from drawn scenes.

    python recipes/mini_align.py train FOLDER [--cache FOLDER]
    python recipes/mini_align.py evaluate FOLDER

One stage. On a processor the depthwise convolutions are what a step's time goes to, and those that stride most of all:
so the stem is narrow, blocks that stride do not expand, and the others expand twice instead of six times. The same seed
on the same kind of machine gives the same weights, in about 20 minutes of one core.
"""

from pathlib import Path

import torch
from training import SIZE, Batches, Stage, arguments, as_asked, evaluate, fit, save, scene
from vocabulary import bert_settings, word_pieces

from sightline import AlignConfig, AlignModel

TOKENS = 64
PAD = 0
STAGE = Stage(steps=1_800, warmup_steps=150, lr=1.5e-3, batch_size=128)
# Whole pictures, squashed, in -1..1 without a mean or deviation of any data set.
PIXELS = {
    "image_processor_type": "EfficientNetImageProcessor",
    "processor_class": "AlignProcessor",
    "do_resize": True,
    "size": {"height": SIZE, "width": SIZE},
    "resample": 2,
    "do_center_crop": True,
    "crop_size": {"height": SIZE, "width": SIZE},
    "do_rescale": True,
    "rescale_factor": 1 / 127.5,
    "rescale_offset": True,
    "do_normalize": False,
    "include_top": False,
}


def config(vocab_size: int) -> AlignConfig:
    """Width 0.5 narrows the stem, whose 32 channels are fixed; the other channels are written twice as wide."""
    return AlignConfig.from_dict(
        {
            "text_config": {
                "vocab_size": vocab_size,
                "hidden_size": 128,
                "intermediate_size": 512,
                "num_hidden_layers": 3,
                "num_attention_heads": 2,
                "max_position_embeddings": TOKENS,
                "hidden_dropout_prob": 0.0,
                "attention_probs_dropout_prob": 0.0,
                "pad_token_id": PAD,
            },
            "vision_config": {
                "image_size": SIZE,
                "width_coefficient": 0.5,
                "depth_coefficient": 1.0,
                "in_channels": [32, 128, 256, 384, 512],
                "out_channels": [128, 256, 384, 512, 512],
                "kernel_sizes": [3, 3, 3, 3, 3],
                "strides": [2, 2, 1, 2, 1],
                "num_block_repeats": [1, 1, 3, 1, 2],
                "expand_ratios": [1, 1, 2, 1, 3],
                "hidden_dim": 256,
                # The default, 0.99, would be nearly the last batch alone.
                "batch_norm_momentum": 0.01,
                "drop_connect_rate": 0.0,
            },
            "projection_dim": 256,
            "temperature_init_value": 0.07,
        }
    )


def train(folder: Path, stage: Stage, cache: Path) -> None:
    torch.manual_seed(stage.seed)
    tokenizer = word_pieces([text for i in range(min(10_000, stage.scenes)) for text in scene(i).captions], TOKENS)
    model = AlignModel(config(tokenizer.get_vocab_size())).train()
    model.to(memory_format=torch.channels_last)
    model.set_attn_implementation("eager")  # fused attention takes longer backwards, as in mini_clip.py
    batches = Batches(stage, tokenizer, PAD, cache)
    print(f"{model.num_parameters():,} parameters, {tokenizer.get_vocab_size()} tokens", flush=True)

    def losses(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        batch = batches(step)
        pixels = batch.pixels.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            out = model(batch.ids, pixels, (batch.ids != PAD).long(), return_loss=True)
        return out.loss, {batch.kind: out.loss.item(), "temperature": model.temperature.item()}

    fit(model, stage, losses, bound=lambda: model.temperature.clamp_(min=0.01))
    save(model, tokenizer, folder, words=bert_settings(TOKENS), pixels=PIXELS)
    tokenizer.model.save(str(folder))  # vocab.txt


def main() -> None:
    given = arguments(__doc__, ["train", "evaluate"]).parse_args()
    if given.task == "train":
        train(given.folder, as_asked(STAGE, given), given.cache)
    evaluate(given.folder, given.tests)


if __name__ == "__main__":
    main()
