"""The recipe of a small CLIP that learns from the 6,000 captioned photos of Flickr8k alone.

    sightline train recipes/flickr8k_clip.py --out RUN
    sightline eval retrieval RUN/last ../shared/data/flickr8k/dev-0000.tar

So few photos are soon known by heart, and half an hour of one core is short. Against the first: a vocabulary of the
captions' own words, and much that is left out in training (parts of photos, patches, words, units). For the second:
towers that start from what can be counted in the data without a step of training, and half the patches to compute.
What is left out is left out by hooks on the modules, in training alone: the model that is saved is a plain CLIP.
"""

from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from vocabulary import byte_pairs, clip_settings

from sightline import CLIPConfig, CLIPModel, CLIPProcessor
from sightline.data import Captions, captions
from sightline.models.image_processors import CLIPImageProcessor
from sightline.models.text_processor import TextProcessor
from sightline.processing.image.reading import open_image
from sightline.processing.tokenizer import Tokenizer
from sightline.train import Recipe

SHARDS = "../shared/data/flickr8k/train-{0000..0005}.tar"
PAIRS = 301_824
BATCH = 128
SIZE, PATCH, WIDTH = 112, 14, 256  # of photos and patches in pixels, of both towers
TOKENS, WORDS = 64, 2_560  # of a text; learned for the vocabulary
PATCHES_KEPT = 0.5
WORDS_LEFT_OUT = 0.2
UNITS_LEFT_OUT = 0.1
BLOCKS_LEFT_OUT = 0.1  # of the vision tower's last one, less of those before it


def model() -> tuple[CLIPModel, CLIPProcessor]:
    data = captions(SHARDS)
    processor = made_processor(data)
    ends = processor.tokenizer
    made = CLIPModel(
        CLIPConfig.from_dict(
            {
                "text_config": {
                    "vocab_size": len(ends),
                    "hidden_size": WIDTH,
                    "intermediate_size": 4 * WIDTH,
                    "num_hidden_layers": 3,
                    "num_attention_heads": 4,
                    "max_position_embeddings": TOKENS,
                    "bos_token_id": ends.bos_token_id,
                    "eos_token_id": ends.eos_token_id,
                    "pad_token_id": ends.pad_token_id,
                    "projection_dim": WIDTH,
                },
                "vision_config": {
                    "hidden_size": WIDTH,
                    "intermediate_size": 4 * WIDTH,
                    "num_hidden_layers": 6,
                    "num_attention_heads": 4,
                    "image_size": SIZE,
                    "patch_size": PATCH,
                    "projection_dim": WIDTH,
                },
                "projection_dim": WIDTH,
            }
        )
    )
    with torch.no_grad():
        seen, read = made.vision_model.embeddings, made.text_model.embeddings
        seen.patch_embedding.weight.copy_(whitening(data, processor).view_as(seen.patch_embedding.weight))
        seen.position_embedding.weight.copy_(0.5 * waves())
        read.token_embedding.weight.add_(meanings(data, processor))
    leave_out(made)
    return made, processor


def made_processor(data: Captions) -> CLIPProcessor:
    images = CLIPImageProcessor(
        size={"shortest_edge": SIZE},
        resample=3,
        crop_size={"height": SIZE, "width": SIZE},
        image_mean=[0.48145466, 0.4578275, 0.40821073],
        image_std=[0.26862954, 0.26130258, 0.27577711],
    )
    words = byte_pairs(chain.from_iterable(sample.captions for sample in data.samples), TOKENS, WORDS)
    words.no_truncation()
    return CLIPProcessor(images, TextProcessor(Tokenizer(words, clip_settings(TOKENS), TOKENS)))


# --- what the towers start from


def turned(rows: Tensor) -> Tensor:
    """Rows (N, WIDTH) in a random basis, so that no unit starts with more than the others."""
    basis: Tensor = torch.linalg.qr(torch.randn(WIDTH, WIDTH, dtype=torch.float64)).Q
    return (rows @ basis).float()


def whitening(data: Captions, processor: CLIPProcessor) -> Tensor:
    """(WIDTH, 3 PATCH^2): the strongest principal components of patches, each brought to about the same variance.

    Of raw pixels, a random map would let through little but the mean color.
    """
    photos = [open_image(sample.content()) for sample in data.samples[::3]]
    pixels = processor(images=photos, return_tensors="pt")["pixel_values"]
    patches = F.unfold(pixels, PATCH, stride=PATCH).transpose(1, 2).flatten(0, 1)[::2].double()
    variances, components = torch.linalg.eigh(patches.T @ patches / len(patches))
    strongest = components[:, -WIDTH:] / (variances[-WIDTH:] + 0.1).sqrt()
    return turned(strongest).t()


def waves() -> Tensor:
    """Places (patches + 1, WIDTH) as sines and cosines of rows and columns (Vaswani et al., 2017, section 3.5)."""
    side = SIZE // PATCH
    frequencies = 0.01 ** torch.linspace(0, 1, WIDTH // 4)
    angles = torch.cartesian_prod(torch.arange(side), torch.arange(side))[..., None] * frequencies
    places = torch.cat([angles.sin(), angles.cos()], 1).flatten(1)
    return torch.cat([torch.zeros(1, WIDTH), places])


def meanings(data: Captions, processor: CLIPProcessor) -> Tensor:
    """Tokens (V, WIDTH) by the photos in whose captions they are said: latent semantic analysis (Deerwester et al.,
    1990). Tokens of the same photos point the same way; rare ones are short."""
    said = torch.zeros(len(data.samples), len(processor.tokenizer), dtype=torch.float64)
    for row, sample in zip(said, data.samples, strict=True):
        for ids in processor.tokenizer.tokenizer.encode(sample.captions):
            row.index_add_(0, torch.tensor(ids[1:-1]), torch.ones(len(ids) - 2, dtype=torch.float64))
    photos = (said > 0).sum(0)
    weighed = F.normalize(said.log1p() * (len(said) / photos.clamp(min=1)).log())
    strengths, directions = torch.linalg.eigh(weighed.T @ weighed)
    tokens = F.normalize(directions[:, -WIDTH:] * strengths[-WIDTH:].clamp(min=0) ** 0.25)
    return turned(tokens * (photos / (photos + 5)).sqrt()[:, None])


# --- what is left out in training


def leave_out(made: CLIPModel) -> None:
    made.vision_model.pre_layrnorm.register_forward_hook(some_patches)
    made.text_model.embeddings.token_embedding.register_forward_hook(some_words)
    for tower in (made.vision_model, made.text_model):
        blocks = tower.encoder.layers
        for number, block in enumerate(blocks, 1):
            for part in (block.self_attn.out_proj, block.mlp):
                part.register_forward_hook(some_units)
                if tower is made.vision_model:
                    part.register_forward_hook(Sometimes(BLOCKS_LEFT_OUT * number / len(blocks)))


def some_patches(module: nn.Module, _: object, tokens: Tensor) -> Tensor | None:
    """The class token and a random share of the patches (Li et al., "Scaling Language-Image Pre-training via Masking",
    2023). From here on in bfloat16, if products are: what goes from block to block need not be converted each time."""
    if not module.training:
        return None
    count, length, width = tokens.shape
    chosen = 1 + torch.rand(count, length - 1, device=tokens.device).argsort(1)[:, : round(PATCHES_KEPT * (length - 1))]
    chosen = torch.cat([torch.zeros_like(chosen[:, :1]), chosen], 1)
    kind = tokens.device.type
    kept = tokens.gather(1, chosen[..., None].expand(-1, -1, width))
    return kept.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else kept


def some_words(module: nn.Embedding, given: tuple[Tensor], tokens: Tensor) -> Tensor | None:
    """Some words without meaning. Start and end, the last two tokens of the vocabulary, stay."""
    if not module.training:
        return None
    (ids,) = given
    kept = (torch.rand(ids.shape, device=ids.device) >= WORDS_LEFT_OUT) | (ids >= module.num_embeddings - 2)
    return tokens * kept[..., None]


def some_units(module: nn.Module, _: object, units: Tensor) -> Tensor:
    return F.dropout(units, UNITS_LEFT_OUT, module.training)


class Sometimes:
    """Half a block that some samples go past (Huang et al., "Deep Networks with Stochastic Depth", 2016)."""

    def __init__(self, left_out: float) -> None:
        self.left_out = left_out

    def __call__(self, module: nn.Module, _: object, added: Tensor) -> Tensor | None:
        if not module.training:
            return None
        kept = torch.rand(len(added), *[1] * (added.ndim - 1), device=added.device) >= self.left_out
        return added * kept / (1 - self.left_out)


recipe = Recipe(
    model=model,
    data=SHARDS,
    steps=PAIRS // BATCH,
    batch_size=BATCH,
    crop=(0.35, 1.0),
    flip=True,
    color_jitter=0.2,
    lr=5e-4,
    weight_decay=1.0,
    label_smoothing=0.1,
    ema_decay=0.997,
    checkpoint_every=PAIRS // BATCH // 4,
    seed=7,
)
