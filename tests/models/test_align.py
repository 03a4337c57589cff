"""ALIGN beyond parity: towers alone, the encoder, what is refused, training's switches."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers.models.align.modeling_align import round_filters
from transformers.models.efficientnet.image_processing_pil_efficientnet import EfficientNetImageProcessorPil

import sightline
from sightline import (
    AlignConfig,
    AlignModel,
    AlignTextConfig,
    AlignTextModel,
    AlignVisionConfig,
    AlignVisionModel,
    scenes,
)
from sightline.encoder.verify import verify
from sightline.errors import CheckpointError, UsageError
from sightline.index.sync import sync
from sightline.models.align.text import AlignTextTower
from sightline.search import open_index
from support.weights import randomise, same_weights

CONFIG = AlignConfig(
    text_config={
        "vocab_size": 200,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 24,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    },
    vision_config={
        "width_coefficient": 0.5,
        "depth_coefficient": 1.2,
        "kernel_sizes": [3, 5, 3],
        "in_channels": [32, 16, 24],
        "out_channels": [16, 24, 64],
        "strides": [1, 2, 2],
        "num_block_repeats": [1, 1, 2],
        "expand_ratios": [1, 4, 6],
        "depthwise_padding": [1],
    },
    projection_dim=32,
)
IDS = torch.tensor([[3, 9, 63, 4, 0, 0], [3, 8, 9, 10, 63, 4]])
MASK = (IDS != 0).long()


def pixels(n: int = 2) -> torch.Tensor:
    return torch.randn(n, 3, 33, 33, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model() -> AlignModel:
    return randomise(AlignModel(CONFIG), 0).eval()


@pytest.fixture(scope="module")
def saved(model: AlignModel, word_pieces: Path, tmp_path_factory) -> Path:
    """A checkpoint with its processor, as the reference writes them."""
    folder = tmp_path_factory.mktemp("checkpoint")
    model.save_pretrained(folder)
    transformers.AlignModel.from_pretrained(folder).save_pretrained(folder)
    images = EfficientNetImageProcessorPil(
        size={"height": 40, "width": 40},
        crop_size={"height": 33, "width": 33},
        resample=2,
        do_center_crop=True,
        rescale_factor=1 / 127.5,
        rescale_offset=True,
        do_normalize=False,
        include_top=False,
    )
    tokenizer = transformers.BertTokenizer.from_pretrained(word_pieces)
    transformers.AlignProcessor(images, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def test_defaults_are_the_reference_s() -> None:
    for ours, reference in (
        (AlignTextConfig(), transformers.AlignTextConfig()),
        (AlignVisionConfig(), transformers.AlignVisionConfig()),
    ):
        for key, value in ours.to_dict().items():
            assert getattr(reference, key) == (list(value) if isinstance(value, tuple) else value), key
    assert AlignConfig().projection_dim == transformers.AlignConfig().projection_dim == 640
    assert AlignConfig().temperature_init_value == transformers.AlignConfig().temperature_init_value == 1.0


@pytest.mark.parametrize("unit", [4, 8, 16])
@pytest.mark.parametrize("coefficient", [0.35, 1.0, 1.1, 1.4, 2.0])
def test_widths_are_rounded_as_the_reference_s(unit: int, coefficient: float) -> None:
    ours = AlignVisionConfig(width_coefficient=coefficient, depth_divisor=unit)
    theirs = transformers.AlignVisionConfig(width_coefficient=coefficient, depth_divisor=unit)
    assert [ours.channels(n) for n in range(1, 400)] == [round_filters(theirs, n) for n in range(1, 400)]


def test_towers_open_from_the_whole_and_alone(model: AlignModel, saved: Path, tmp_path: Path) -> None:
    # From the same file, so that weights lie alike in memory: by that, torch chooses how it adds up.
    whole = AlignModel.from_pretrained(saved).eval()(IDS, pixels(), MASK)
    for tower, args, mine in (
        (AlignTextModel, (IDS, MASK), whole.text_model_output),
        (AlignVisionModel, (pixels(),), whole.vision_model_output),
    ):
        opened = tower.from_pretrained(saved)
        assert torch.equal(opened(*args).pooler_output, mine.pooler_output)
        opened.save_pretrained(tmp_path / tower.__name__)
        assert same_weights(tower.from_pretrained(tmp_path / tower.__name__), opened)
        theirs = getattr(transformers, tower.__name__).from_pretrained(tmp_path / tower.__name__)
        assert torch.allclose(theirs(*args).pooler_output, mine.pooler_output, rtol=1e-4, atol=1e-5)
        fresh = getattr(transformers, tower.__name__)(theirs.config)
        fresh.load_state_dict(theirs.state_dict())
        fresh.save_pretrained(tmp_path / "theirs" / tower.__name__)
        assert same_weights(tower.from_pretrained(tmp_path / "theirs" / tower.__name__), opened)


def test_text_tower_reads_only_its_own(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sightline.checkpoint.weights import Weights

    read: list[str] = []
    get = Weights.get
    monkeypatch.setattr(Weights, "get", lambda self, key: read.append(key) or get(self, key))
    AlignTextTower.for_encoding(saved, torch.float32)
    assert read
    assert all(key.startswith(("text_model.", "text_projection.")) for key in read)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_counts_stay_whole_numbers_in_any_precision(saved: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    half = AlignModel.from_pretrained(saved, dtype=dtype)
    half.vision_model.embeddings.batchnorm.num_batches_tracked.fill_(70_001)  # which no half precision holds
    half.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    assert {tensor.dtype for key, tensor in state.items() if "num_batches" not in key} == {dtype}
    assert state["vision_model.embeddings.batchnorm.num_batches_tracked"] == 70_001
    assert same_weights(AlignModel.from_pretrained(tmp_path), half)


def test_folding_for_encoding_changes_no_embedding(model: AlignModel, saved: Path) -> None:
    tower = AlignVisionModel.for_encoding(saved, torch.float32)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in tower.modules())
    expected = model.get_image_features(pixels()).pooler_output
    torch.testing.assert_close(tower.embed(pixels()), expected, rtol=1e-4, atol=1e-5)
    assert same_weights(AlignModel.from_pretrained(saved), model)
    half = AlignVisionModel.for_encoding(saved, torch.bfloat16)
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    likeness = torch.cosine_similarity(half.embed(pixels().bfloat16()).float(), expected)
    assert likeness.min() > 0.999


def test_a_text_is_the_same_beside_longer_ones(model: AlignModel) -> None:
    """Attention looks both ways: without the mask padding would be read."""
    tower = AlignTextTower(CONFIG).eval()
    tower.load_state_dict({key: model.state_dict()[key] for key in tower.state_dict()})
    alone = tower.embed(IDS[:1, :4])
    torch.testing.assert_close(tower.embed(IDS, MASK)[:1], alone, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(tower.embed(IDS)[:1], alone, atol=1e-2)


def test_the_encoder_gives_what_the_reference_gives(saved: Path) -> None:
    texts = ["a photo of a cat", "", "Hund läuft!", "a red dog and a cat and a dog of a red photo, a"]
    pictures = [scenes.sample(3, i).draw(96) for i in range(5)]
    encoder = sightline.load(saved, precision="float32")
    processor = transformers.AlignProcessor.from_pretrained(saved)
    inputs = processor(text=texts, images=pictures, return_tensors="pt", max_length=24, truncation=True)
    with torch.no_grad():
        out = transformers.AlignModel.from_pretrained(saved)(**inputs)
    np.testing.assert_allclose(encoder.encode_text(texts), out.text_embeds, atol=2e-6)
    np.testing.assert_allclose(encoder.encode_images(pictures), out.image_embeds, atol=2e-6)


def test_the_script_of_the_issue(saved: Path) -> None:
    """What was written for the reference, with the import changed."""
    picture = scenes.sample(3, 1).draw(120)

    def script(library) -> tuple[torch.Tensor, ...]:
        model = library.AlignModel.from_pretrained(saved)
        processor = library.AlignProcessor.from_pretrained(saved)
        text = ["a photo of a cat", "a photo of a dog"]
        inputs = processor(images=picture, text=text, return_tensors="pt", max_length=20)
        with torch.no_grad():
            outputs = model(**inputs)
            features = model.get_text_features(**processor(text=text, return_tensors="pt", max_length=20))
        return outputs.image_embeds, outputs.text_embeds, outputs.logits_per_image.softmax(dim=1), features[1]

    for mine, theirs in zip(script(sightline), script(transformers), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_verify_index_and_search_take_an_align(saved: Path, tmp_path: Path) -> None:
    checks = list(verify(saved))
    # Random weights have nothing that bfloat16 would spare: their vectors are not judged.
    assert [check for check in checks if not check.passed and check.what != "precision"] == []
    for i in range(4):
        scenes.sample(3, i).draw(64).save(tmp_path / f"{i}.png")
    encoder = sightline.load(saved)
    sync(tmp_path / "index", [tmp_path], encoder)
    found = open_index(tmp_path / "index", encoder).search("a red cat", 4)
    expected = encoder.encode_text(["a red cat"]) @ encoder.encode_images(sorted(tmp_path.glob("*.png"))).T
    assert len(found) == 4
    assert found[0].score == pytest.approx(float(expected.max()), abs=2e-3)  # vectors are kept in half precision


def test_config_ages() -> None:
    text = {"position_embedding_type": "absolute", "use_cache": True}
    data = {"model_type": "align", "text_config": text, "vision_config": {"num_hidden_layers": 64}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert AlignConfig.from_dict(data).settings() == AlignConfig().settings()


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        (None, {"projection_dim": 48}, "projection_dim is 48, but .* 32 wide"),
        ("text_config", {"position_embedding_type": "relative_key"}, "'relative_key', not 'absolute'"),
        ("text_config", {"hidden_dropout_prob": 1.5}, r"hidden_dropout_prob is 1\.5, not in"),
        ("text_config", {"pad_token_id": 200}, "pad_token_id is 200, vocab_size 200"),
        ("text_config", {"hidden_size": 33}, "33 is no multiple of 2 heads"),
        ("text_config", {"type_vocab_size": 3}, r"token_type_embeddings\.weight has shape \(2, 32\)"),
        ("vision_config", {"strides": [1, 2, 3]}, r"strides is \[1, 2, 3\], expected numbers of 1 to 2"),
        ("vision_config", {"strides": [1, 2]}, "differ in length"),
        ("vision_config", {"in_channels": [32, 16, 48]}, "a stage takes 48 channels, but the one before returns 24"),
        ("vision_config", {"in_channels": [48, 16, 24]}, "a stage takes 48 channels, but the one before returns 32"),
        ("vision_config", {"kernel_sizes": "3"}, "kernel_sizes is '3'"),
        ("vision_config", {"kernel_sizes": [3, 3, 3]}, r"depthwise_conv\.weight has shape \(\d+, 1, 5, 5\)"),
        ("vision_config", {"pooling_type": "sum"}, "pooling_type is 'sum', not mean or max"),
        ("vision_config", {"width_coefficient": 0}, r"width_coefficient is 0\.0, expected 0 to 1024"),
        ("vision_config", {"depth_coefficient": float("nan")}, "depth_coefficient is nan"),
        ("vision_config", {"depth_coefficient": 1000.0}, "4000 blocks, expected 1 to 1024"),
        ("vision_config", {"depth_coefficient": 2.1}, r"missing vision_model\.encoder\.blocks\.10"),
        ("vision_config", {"hidden_act": "magic"}, "unknown activation 'magic'"),
    ],
)
def test_configs_that_do_not_fit_are_refused_by_name(
    folder: Path, part: str | None, change: dict, message: str
) -> None:
    config = json.loads((folder / "config.json").read_text())
    (config[part] if part else config).update(change)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        AlignModel.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("temperature"), "missing temperature"),
        (
            lambda s: s.pop("vision_model.embeddings.batchnorm.running_var"),
            r"missing vision_model\.embeddings\.batchnorm\.running",
        ),
        (lambda s: s.update({"vision_model.encoder.top_bn.bias": torch.ones(1)}), r"unknown tensors .*top_bn\.bias"),
        (lambda s: (s.clear(), s.update({"bert.embeddings": torch.ones(1)})), r"no AlignModel in it; it holds bert"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(folder: Path, change, message: str) -> None:
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=message):
        AlignModel.from_pretrained(folder)


def test_gradient_checkpointing_changes_no_gradient(model: AlignModel) -> None:
    grads = []
    for on in (False, True):
        twin = AlignModel(CONFIG)
        twin.load_state_dict(model.state_dict())
        if on:
            twin.gradient_checkpointing_enable()
        torch.manual_seed(0)
        twin.train()(IDS, pixels(), MASK, return_loss=True).loss.backward()
        grads.append({name: p.grad for name, p in twin.named_parameters() if p.grad is not None})
    assert grads[0].keys() == grads[1].keys()
    assert all(torch.equal(grads[0][name], grads[1][name]) for name in grads[0])


def test_training_learns_its_pairs() -> None:
    torch.manual_seed(0)
    model = AlignModel(CONFIG).train()
    ids = torch.randint(5, 200, (8, 6))
    values = torch.randn(8, 3, 33, 33)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    for _ in range(40):
        optimizer.zero_grad()
        out = model(ids, values, return_loss=True)
        out.loss.backward()
        optimizer.step()
    assert (out.logits_per_image.argmax(1) == torch.arange(8)).all()


def test_wrong_calls(model: AlignModel) -> None:
    with pytest.raises(UsageError, match="needs input_ids and pixel_values"):
        model(input_ids=IDS)
    with pytest.raises(UsageError, match="25 tokens, but the model has 24"):
        model.get_text_features(torch.ones(1, 25, dtype=torch.long))
    with pytest.raises(UsageError, match="needs pairs, not 2 texts and 3 images"):
        model(IDS, pixels(3), return_loss=True)


def test_fresh_weights() -> None:
    torch.manual_seed(0)
    model = AlignModel(AlignConfig(text_config={"num_hidden_layers": 1}, vision_config={"depth_coefficient": 0.3}))
    last = model.vision_model.encoder.blocks[-1]
    # By the fan out (He et al., 2015): the places and channels that one number reaches.
    assert last.projection.project_conv.weight.std().item() == pytest.approx((2 / 640) ** 0.5, rel=0.02)
    assert last.depthwise_conv.depthwise_conv.weight.std().item() == pytest.approx((2 / 9) ** 0.5, rel=0.05)
    assert model.text_model.embeddings.word_embeddings.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert not model.text_model.embeddings.word_embeddings.weight[0].any()
    assert model.scale == 1


def test_half_precision_takes_the_processor_s_pixels() -> None:
    """A checkpoint kept in float16 is opened in it; what the processor gives is float32."""
    model = AlignModel(CONFIG).half().eval()
    with torch.no_grad():
        assert model(IDS, pixels(), MASK).logits_per_image.dtype == torch.float16
