"""The encoder against the reference and against itself: images and texts to vectors."""

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sightline
from sightline import scenes
from sightline.checkpoint.names import PACKAGED
from sightline.encoder import TextEncoder
from sightline.errors import CheckpointError, ImageError, UsageError
from sightline.processing.image.reading import open_image

TEXTS = ["a red circle", "two things on grass", "", "blue", "a very long text " * 60, "Ein Hund läuft 🐕"]


@pytest.fixture(scope="module")
def encoder() -> sightline.Encoder:
    return sightline.load("mini", precision="float32")


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return [scenes.sample(3, i).draw(96) for i in range(5)]


def test_shapes_and_unit_length(encoder: sightline.Encoder, pictures: list[Image.Image]) -> None:
    for vectors, n in ((encoder.encode_text(TEXTS), len(TEXTS)), (encoder.encode_images(pictures), len(pictures))):
        assert vectors.shape == (n, encoder.dim)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert encoder.encode_text([]).shape == encoder.encode_images([]).shape == (0, encoder.dim)


def test_equals_the_reference(encoder: sightline.Encoder, pictures: list[Image.Image]) -> None:
    import transformers

    model = transformers.CLIPModel.from_pretrained(encoder.folder, dtype=torch.float32).eval()
    processor = transformers.CLIPProcessor.from_pretrained(encoder.folder)
    inputs = processor(text=TEXTS, images=pictures, return_tensors="pt", padding=True, truncation=True, max_length=64)
    with torch.no_grad():
        out = model(**inputs)
    # Unit vectors in float32 through a few layers.
    np.testing.assert_allclose(encoder.encode_text(TEXTS), out.text_embeds, atol=2e-6)
    np.testing.assert_allclose(encoder.encode_images(pictures), out.image_embeds, atol=2e-6)


def test_every_kind_of_picture(encoder: sightline.Encoder, pictures: list[Image.Image], tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    pictures[0].save(path)
    vectors = encoder.encode_images([path, str(path), path.read_bytes(), pictures[0], np.asarray(pictures[0])])
    assert (vectors == vectors[0]).all()


def test_orientation_and_reduced_decoding_have_an_opt_out(encoder: sightline.Encoder, tmp_path: Path) -> None:
    upright = scenes.sample(3, 1).draw(320)
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    path = tmp_path / "turned.jpg"
    turned = encoder.encode_images([path])
    likeness = (turned @ encoder.encode_images([upright]).T).item()
    assert likeness > 0.98
    assert (encoder.encode_images([path], orient=False) @ turned.T).item() < likeness - 0.01
    exact = encoder.encode_images([path], exact=True)
    assert not np.array_equal(exact, turned)
    assert (exact @ turned.T).item() > 0.98


def test_text_order_and_batches_do_not_matter(encoder: sightline.Encoder) -> None:
    many = [f"{i} red circles {'and more ' * (i % 9)}" for i in range(150)]
    together = encoder.encode_text(many)
    np.testing.assert_allclose(together[[3, 77, 149]], encoder.encode_text([many[3], many[77], many[149]]), atol=2e-6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_broken_neighbour_changes_nothing(precision: str, pictures: list[Image.Image], tmp_path: Path) -> None:
    """Nor where it stands: the same vectors, bit for bit, with and without unreadable files among them."""
    encoder = sightline.load("mini", precision=precision)
    good = []
    for i, picture in enumerate(pictures):
        good.append(tmp_path / f"{i}.png")
        picture.save(good[-1])
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    mixed = [bad, good[0], bad, good[1], good[2], tmp_path / "missing.jpg", good[3], good[4], *[bad] * 70]

    def stream(paths: list[Path]) -> list:
        return [(one.item, one.vector) for one in encoder.stream(paths, lambda path: (open_image(path), None))]

    alone, among = stream(good), stream(mixed)
    assert [path for path, _ in among] == mixed
    readable = [(path, vector) for path, vector in among if not isinstance(vector, ImageError)]
    assert [path for path, _ in readable] == good
    for (_, a), (_, b) in zip(alone, readable, strict=True):
        assert np.array_equal(a, b)
    assert isinstance(among[5][1], ImageError)
    with pytest.raises(ImageError, match=r"bad\.jpg"):
        encoder.encode_images([good[0], bad])


def test_bfloat16_stays_near(encoder: sightline.Encoder, pictures: list[Image.Image]) -> None:
    half = sightline.load("mini", precision="bfloat16")
    assert ((encoder.encode_images(pictures) * half.encode_images(pictures)).sum(1) > 0.999).all()
    assert ((encoder.encode_text(TEXTS) * half.encode_text(TEXTS)).sum(1) > 0.999).all()
    assert half.fingerprint == encoder.fingerprint


def test_fingerprint_follows_weights_and_preprocessing(tmp_path: Path) -> None:
    model = sightline.CLIPModel.from_pretrained("mini")
    model.save_pretrained(tmp_path)
    sightline.CLIPProcessor.from_pretrained("mini").save_pretrained(tmp_path)
    before = sightline.load(tmp_path).fingerprint
    assert sightline.load(tmp_path, precision="bfloat16").fingerprint == before
    model.logit_scale.data += 1
    model.save_pretrained(tmp_path)
    weights = sightline.load(tmp_path).fingerprint
    profile = next(p for p in tmp_path.glob("*processor_config.json"))
    profile.write_text(profile.read_text().replace("0.5", "0.25"))
    assert len({before, weights, sightline.load(tmp_path).fingerprint}) == 3


def test_a_hub_name_is_remembered_with_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789" * 4
    repository = tmp_path / "models--owner--model"
    shutil.copytree(sightline.load("mini").folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    loaded = sightline.load("owner/model", local_files_only=True)
    assert (loaded.name, loaded.revision) == ("owner/model", commit)
    again = sightline.load(loaded.name, revision=loaded.revision, local_files_only=True)
    assert again.fingerprint == loaded.fingerprint
    by_path = sightline.load(repository / "snapshots" / commit)
    assert (by_path.name, by_path.revision) == (str(repository / "snapshots" / commit), None)


@pytest.mark.parametrize("opened", [sightline.load, TextEncoder])
def test_another_models_tokenizer_is_refused(tmp_path: Path, opened: type) -> None:
    folder = shutil.copytree(PACKAGED / "mini", tmp_path / "mixed")
    pipeline = json.loads((folder / "tokenizer.json").read_text())
    pipeline["model"]["vocab"]["r</w>"] += 50_000
    (folder / "tokenizer.json").write_text(json.dumps(pipeline))
    with pytest.raises(CheckpointError, match="mixed: its tokenizer knows more than the model's"):
        opened(folder).encode_text(["blue", "r r r"])


def test_search_by_words_never_opens_the_vision_tower(monkeypatch: pytest.MonkeyPatch) -> None:
    from sightline.checkpoint.weights import Weights

    read: list[str] = []
    get = Weights.get
    monkeypatch.setattr(Weights, "get", lambda self, key: read.append(key) or get(self, key))
    sightline.load("mini").encode_text(["a red circle"])
    assert read
    assert not [key for key in read if key.startswith("vis")]


def test_a_long_stream_is_computed_on_all_cores_and_leaves_torch_as_it_was(
    encoder: sightline.Encoder, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, int] = {}
    embed = type(encoder._image).embed

    def watched(self, pixels: torch.Tensor) -> torch.Tensor:
        assert pixels.shape[0] == encoder.batch
        seen[threading.current_thread().name] = torch.get_num_threads()
        return embed(self, pixels)

    monkeypatch.setattr(type(encoder._image), "embed", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        many = pictures * (1 + 6 * encoder.batch // len(pictures))
        stream = encoder.stream(many, lambda picture: (picture, None))
        first = next(stream).vector
        assert all(np.array_equal(one.vector, first) for one in stream if one.item is many[0])
        assert torch.get_num_threads() == 3
        assert set(seen.values()) == {1}
        assert 1 < len(seen) <= 3
        # What other threads see is the common number, not a worker's.
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)


def test_threads_that_stream_at_once_leave_torch_as_it_was(encoder: sightline.Encoder) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    texts = [f"{n} red circles" for n in range(9)]
    alone = encoder.encode_text(texts)
    try:
        for _ in range(5):
            with ThreadPoolExecutor(4) as pool:  # threads that torch has not seen
                for found in pool.map(lambda _: encoder.encode_text(texts), range(8)):
                    assert np.array_equal(found, alone)
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(torch.get_num_threads).result() == 4
    finally:
        torch.set_num_threads(before)


def test_wrong_calls(encoder: sightline.Encoder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="list of strings"):
        encoder.encode_text("a red circle")
    with pytest.raises(UsageError, match="list of images"):
        encoder.encode_images("a.jpg")
    with pytest.raises(UsageError, match="list of images"):
        encoder.encode_images(np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(UsageError, match="no device 'warp': choose auto, cpu"):
        sightline.load("mini", device="warp")
    with pytest.raises(UsageError, match="precision 'float99' is not known"):
        sightline.load("mini", precision="float99")
    (tmp_path / "config.json").write_text('{"model_type": "siglip"}')
    with pytest.raises(CheckpointError, match=r"model_type 'siglip' cannot be opened; only .*clip"):
        sightline.load(tmp_path)
    with pytest.raises(CheckpointError, match="no such file or folder"):
        sightline.load(tmp_path / "none")


def test_extras_stand_beside_projected_vectors_only(encoder: sightline.Encoder) -> None:
    with pytest.raises(UsageError, match="not for both"):
        next(encoder.stream([], lambda item: (item, None), extras=True, project=False))
