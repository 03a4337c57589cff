"""X-CLIP beyond parity: numbers of frames, films for the processor, towers, the two steps of a search."""

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import CLIPTokenizer, XCLIPProcessor as TheirProcessor
from transformers.models.videomae.image_processing_pil_videomae import VideoMAEImageProcessorPil

import sightline
from sightline import XCLIPConfig, XCLIPModel, XCLIPProcessor, XCLIPTextModel, XCLIPVisionModel
from sightline.encoder.verify import verify
from sightline.errors import CheckpointError, UsageError
from sightline.models.xclip import prompts
from sightline.models.xclip.prompts import XCLIPPromptGenerator, XCLIPRescorer
from sightline.models.xclip.text import XCLIPTextTower
from sightline.models.xclip.vision import XCLIPVideoTower
from support.weights import randomise

FRAMES = 4
CONFIG = XCLIPConfig(
    text_config={
        "vocab_size": 1000,
        "hidden_size": 16,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    },
    vision_config={
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "mit_hidden_size": 16,
        "mit_intermediate_size": 32,
        "mit_num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
        "num_frames": FRAMES,
    },
    projection_dim=16,
    prompt_num_attention_heads=4,
)
SCRIPT = """
from MODULE import XCLIPModel, XCLIPProcessor

model = XCLIPModel.from_pretrained(folder).eval()
processor = XCLIPProcessor.from_pretrained(folder)
inputs = processor(text=["playing sports", "go shopping"], videos=list(video), return_tensors="pt", padding=True)
with torch.no_grad():
    outputs = model(**inputs)
probs = outputs.logits_per_video.softmax(dim=1)
embeds = outputs.video_embeds
"""


@pytest.fixture(scope="module")
def model() -> XCLIPModel:
    return randomise(XCLIPModel(CONFIG), 0).eval()


@pytest.fixture
def folder(model: XCLIPModel, vocabulary: Path, tmp_path: Path) -> Path:
    """A checkpoint's folder: the model's files by us, the processor's by the reference."""
    model.save_pretrained(tmp_path)
    tokenizer = CLIPTokenizer.from_pretrained(vocabulary, model_max_length=77)
    images = VideoMAEImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    TheirProcessor(images, tokenizer).save_pretrained(tmp_path)
    return tmp_path


def ids(count: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.randint(3, 999, (count, 9), generator=torch.Generator().manual_seed(seed))


def films(count: int = 3, frames: int = FRAMES) -> torch.Tensor:
    return torch.randn(count, frames, 3, 32, 32, generator=torch.Generator().manual_seed(count))


def film(frames: int = FRAMES, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (frames, 36, 50, 3), np.uint8)


def test_a_script_with_only_its_import_changed(folder: Path) -> None:
    found = []
    for module in ("transformers", "sightline"):
        scope: dict[str, Any] = {"torch": torch, "folder": folder, "video": film()}
        exec(SCRIPT.replace("MODULE", module), scope)
        found.append((scope["probs"], scope["embeds"], scope["inputs"]["pixel_values"]))
    for theirs, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tensors", [None, "np", "pt"])
@pytest.mark.parametrize(
    "given",
    [
        [Image.fromarray(frame) for frame in film()],
        list(film()),
        film(),
        tuple(film()),
        [list(film()), [Image.fromarray(frame) for frame in film(seed=1)]],
        [film(), film(seed=1)],
        [list(film())],
        torch.from_numpy(film()).permute(0, 3, 1, 2),
    ],
)
@pytest.mark.parametrize("name", ["videos", "images"])
def test_films_as_the_reference_takes_them(folder: Path, given: Any, tensors: str | None, name: str) -> None:
    theirs = TheirProcessor(
        VideoMAEImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        CLIPTokenizer.from_pretrained(folder),
    )
    ours = XCLIPProcessor.from_pretrained(folder)
    options = {name: given, "return_tensors": tensors}
    mine, other = ours(**options)["pixel_values"], theirs(**options)["pixel_values"]
    assert type(mine) is type(other)
    np.testing.assert_array_equal(np.asarray(mine), np.asarray(other))
    assert np.shape(mine)[1:] == (FRAMES, 3, 32, 32)
    both = ours(**options, text=["a cat", "dogs"], padding=True)
    assert set(both) == {"input_ids", "attention_mask", "pixel_values"}


def test_a_processor_is_saved_and_opened_again(folder: Path, tmp_path: Path) -> None:
    ours = XCLIPProcessor.from_pretrained(folder)
    ours.save_pretrained(tmp_path / "again")
    again = XCLIPProcessor.from_pretrained(tmp_path / "again")
    options = {"videos": film(), "text": "a dog", "return_tensors": "np"}
    for key, value in ours(**options).items():
        np.testing.assert_array_equal(again(**options)[key], value)
    # No config.json says there how many frames a film has.
    assert again.image_processor.num_frames is None
    assert again(videos=film(7), return_tensors="pt").pixel_values.shape == (1, 7, 3, 32, 32)
    with pytest.raises(UsageError, match="videos of different sizes or numbers of frames"):
        again(videos=[film(7), film(6)], return_tensors="pt")
    with pytest.raises(UsageError, match="video 0 has 0 frames, not at least 1"):
        again(videos=[[]])
    with pytest.raises(UsageError, match=r"no config\.json beside this processor"):
        again.sample("film.mp4")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (film(3), "video 0 has 3 frames, not the 4 of the checkpoint"),
        ([film(), film(16)], "video 1 has 16 frames, not the 4"),
        ([], "no videos"),
        ([[]], "video 0 has 0 frames"),
        ([film(), []], "video 1 has 0 frames"),
        (film(0), "video 0 has 0 frames"),
        (Image.new("RGB", (40, 40)), "an image is no video"),
        (film()[0], "an image is no video"),
        ("photo.jpg", "an image is no video"),
        ([film(), Image.new("RGB", (40, 40))], "a list of videos holds an image"),
        (7, "a video is a list of frames, not int"),
        ([[film()[0], 7, film()[0], film()[0]]], "not int"),
    ],
)
def test_what_is_no_film(folder: Path, given: Any, message: str) -> None:
    processor = XCLIPProcessor.from_pretrained(folder)
    with pytest.raises(UsageError, match=message):
        processor(videos=given, return_tensors="pt")
    with pytest.raises(UsageError, match="sampled before"):
        processor(videos=film(), do_sample_frames=True)
    with pytest.raises(UsageError, match="XCLIPProcessor needs text"):
        processor()


def test_frames_out_of_a_file(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    with av.open(path, "w") as file:
        stream = file.add_stream("ffv1", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "bgr0"
        for level in range(40):
            picture = np.full((32, 32, 3), 6 * level, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    processor = XCLIPProcessor.from_pretrained(folder)
    frames = processor.sample(path)
    assert [round(frame.getpixel((5, 5))[0] / 6) for frame in frames] == [5, 15, 25, 35]
    assert [round(frame.getpixel((5, 5))[0] / 6) for frame in processor.sample(path, 2, 2.8)] == [21, 23, 25, 27]
    assert processor(videos=frames, return_tensors="pt").pixel_values.shape == (1, FRAMES, 3, 32, 32)


@pytest.mark.parametrize("frames", [0, 1, 3, 5, 8])
def test_another_number_of_frames_is_refused_by_name(model: XCLIPModel, folder: Path, frames: int) -> None:
    tower = XCLIPVideoTower.from_pretrained(folder)
    vision = XCLIPVisionModel.from_pretrained(folder)
    for call in (
        lambda pixels: model(ids(), pixels),
        model.get_video_features,
        model.embed,
        tower.embed,
        tower.embed_with_extras,
        vision,
    ):
        with pytest.raises(UsageError, match=f"a video of {frames} frames, but the model was made for 4"):
            call(films(4, frames))
    with pytest.raises(UsageError, match=r"pixel_values \(7, 3, 32, 32\) are no videos: the model takes 4 frames"):
        vision(films(7, 1)[:, 0])
    with pytest.raises(
        UsageError, match=r"pixel_values \(4, 3, 32, 32\) are no videos: expected \(videos, 4, channels"
    ):
        model(ids(), films()[0])
    assert torch.equal(vision(films())[0], vision(films().flatten(0, 1))[0])


def test_frames_hear_of_each_other_and_films_do_not(model: XCLIPModel) -> None:
    pixels = films(2)
    changed = pixels.clone()
    changed[0, 3] = 0
    with torch.no_grad():
        before, after = (model.vision_model(x).pooler_output.unflatten(0, (2, FRAMES)) for x in (pixels, changed))
    assert not any(torch.equal(*frames) for frames in zip(before[0], after[0], strict=True))
    assert torch.equal(before[1], after[1])


def test_wrong_calls(model: XCLIPModel) -> None:
    with pytest.raises(UsageError, match="needs input_ids and pixel_values"):
        model(input_ids=ids())
    with pytest.raises(UsageError, match="the loss needs pairs, not 2 texts and 3 images or videos"):
        model(ids(2), films(), return_loss=True)
    with pytest.raises(UsageError, match="images of 33 x 32 pixels"):
        model(ids(), torch.zeros(1, FRAMES, 3, 33, 32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vision_config": {"num_frames": 0}}, "num_frames is 0"),
        ({"vision_config": {"mit_num_attention_heads": 3}}, "mit config: hidden_size 16 is no multiple of 3 heads"),
        ({"vision_config": {"mit_hidden_size": 8}}, "mit_hidden_size 8 and projection_dim 16 must be one number"),
        ({"vision_config": {"drop_path_rate": 1.5}}, "drop_path_rate is 1.5"),
        ({"prompt_projection_dropout": -0.1}, "prompt_projection_dropout is -0.1"),
        ({"vision_config": {"num_frames": 8}}, r"mit\.position_embedding has shape \(1, 4, 16\)"),
        ({"prompt_num_attention_heads": 5}, "prompt config: hidden_size 16 is no multiple of 5 heads"),
        ({"prompt_layers": 3}, r"missing prompts_generator\.decoder\.2"),
        ({"model_type": "clip"}, "model_type 'clip', not 'xclip'"),
    ],
)
def test_configs_that_do_not_fit_are_refused_by_name(folder: Path, change: dict[str, Any], message: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    for key, value in change.items():
        config[key] = {**config[key], **value} if isinstance(value, dict) else value
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        XCLIPModel.from_pretrained(folder)


def test_towers_read_only_their_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sightline.checkpoint.weights import Weights

    read: list[str] = []
    get = Weights.get
    monkeypatch.setattr(Weights, "get", lambda self, key: read.append(key) or get(self, key))
    for kind, own in (
        (XCLIPTextTower, ("text_",)),
        (XCLIPTextModel, ("text_model.",)),
        (XCLIPVideoTower, ("vision_model.", "visual_projection.", "mit.", "prompts_visual_")),
        (XCLIPVisionModel, ("vision_model.",)),
        (XCLIPRescorer, ("prompts_generator.", "logit_scale")),
    ):
        read.clear()
        kind.from_pretrained(folder)
        assert read
        assert all(key.startswith(own) for key in read)


def test_embedding_alone_is_that_of_the_whole_forward(folder: Path) -> None:
    """What is left out of the last block changes nothing but, in the last bits of float64, the order of sums."""
    model = XCLIPModel.from_pretrained(folder, dtype=torch.float64)
    text, tower = (kind.from_pretrained(folder, dtype=torch.float64) for kind in (XCLIPTextTower, XCLIPVideoTower))
    pixels = films().double()
    exact = {"rtol": 1e-12, "atol": 1e-12}
    with torch.no_grad():
        torch.testing.assert_close(text.embed(ids()), model.get_text_features(ids()).pooler_output, **exact)
        whole = model.get_video_features(pixels).pooler_output
        torch.testing.assert_close(tower.embed(pixels), whole, **exact)
        torch.testing.assert_close(tower.embed_with_extras(pixels)[0], whole, **exact)
        assert tower.embed(pixels[:0]).shape == (0, 16)


@pytest.mark.parametrize("numbers", [1, 5_000, 1 << 23])
def test_the_second_step_gives_the_model_s_scores(folder: Path, numbers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few films are in memory at a time, for one text and for many; vectors may have unit length."""
    monkeypatch.setattr(prompts, "_NUMBERS", numbers)
    kinds = (XCLIPModel, XCLIPTextTower, XCLIPVideoTower, XCLIPRescorer)
    model, text, tower, rescorer = (kind.from_pretrained(folder, dtype=torch.float64) for kind in kinds)
    pixels = films(5).double()
    with torch.no_grad():
        expected = model(ids(20), pixels).logits_per_video
        embeds, summaries = tower.embed_with_extras(pixels)
        texts = text.embed(ids(20))
        unit = torch.nn.functional.normalize(embeds, dim=-1)
        torch.testing.assert_close(rescorer(texts, embeds, summaries), expected, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(rescorer(texts[:1], unit, summaries), expected[:, :1], rtol=1e-10, atol=1e-10)
        assert rescorer(texts, embeds[:0], summaries[:0]).shape == (0, 20)
        assert rescorer(texts[:0], embeds, summaries).shape == (5, 0)
        # As an index keeps them: half precision has three digits.
        kept = rescorer(texts, unit.half(), summaries.half())
        assert kept.dtype == torch.float64
        torch.testing.assert_close(kept, expected, rtol=0, atol=2e-3 * float(model.scale))


def test_an_encoder_opens_it(folder: Path, model: XCLIPModel) -> None:
    encoder = sightline.load(folder, precision="float32", device="cpu")
    texts = ["a cat", "two dogs run to the left"]
    inputs = XCLIPProcessor.from_pretrained(folder)(text=texts, return_tensors="pt", padding=True)
    with torch.no_grad():
        expected = torch.nn.functional.normalize(model.get_text_features(**inputs).pooler_output, dim=-1)
    np.testing.assert_allclose(encoder.encode_text(texts), expected, atol=1e-5)
    assert encoder.family.rescorer is XCLIPRescorer


def test_it_is_verified_against_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture as a still film; the model's logits are those of a search in two steps."""
    found = {check.what: check for check in verify(folder, None)}
    assert all(check.passed for check in found.values() if check.what != "precision"), found
    assert "times the rescorer's cosines" in found["logits"].result
    short = XCLIPPromptGenerator.short
    monkeypatch.setattr(XCLIPPromptGenerator, "short", lambda *given: 1.01 * short(*given))
    assert not {check.what: check for check in verify(folder, None)}["logits"].passed


def test_gradient_checkpointing_changes_no_gradient(model: XCLIPModel) -> None:
    """With messages dropped at random, too: the same ones the second time."""
    config = XCLIPConfig.from_dict(
        CONFIG.to_dict() | {"vision_config": {**CONFIG.vision_config.to_dict(), "drop_path_rate": 0.5}}
    )
    grads = []
    for on in (False, True):
        twin = XCLIPModel(config).train()
        twin.load_state_dict(model.state_dict())
        if on:
            twin.gradient_checkpointing_enable()
        torch.manual_seed(5)
        twin(ids(), films(), return_loss=True).loss.backward()
        grads.append([p.grad for p in twin.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_dropout_of_the_prompts_is_there_in_training_alone(model: XCLIPModel) -> None:
    rates = {"prompt_attention_dropout": 0.3, "prompt_projection_dropout": 0.3}
    twin = XCLIPModel(XCLIPConfig.from_dict(CONFIG.to_dict() | rates))
    twin.load_state_dict(model.state_dict())
    with torch.no_grad():
        once, again = (twin.train()(ids(), films()) for _ in range(2))
        assert torch.equal(once.video_embeds, again.video_embeds)
        assert not torch.equal(once.text_embeds, again.text_embeds)
        assert torch.equal(twin.eval()(ids(), films()).text_embeds, model(ids(), films()).text_embeds)
