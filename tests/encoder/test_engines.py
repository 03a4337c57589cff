"""Exports in ONNX Runtime and OpenVINO: what a checkpoint does, without torch; and what they say when something is
missing."""

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sightline
from sightline import scenes
from sightline.checkpoint.exported import NOTE
from sightline.encoder import TextEncoder
from sightline.encoder.verify import verify
from sightline.errors import CheckpointError, ImageError, ModelMismatch, UsageError
from sightline.index.sync import sync
from sightline.search import open_index
from support.exports import drawn_export
from support.videos import film

ENGINES = ("onnx", "openvino")
TEXTS = ["a red circle", "two blue squares and a green star", "a dog"]
PICTURES = [scenes.sample(number).draw(96) for number in range(20)]


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An export of mini for each engine. Tests that change one copy it."""
    folder = tmp_path_factory.mktemp("exports")
    return {engine: drawn_export(folder / engine, engine=engine) for engine in ENGINES}


@pytest.fixture
def copied(exports: dict[str, Path], tmp_path: Path) -> Path:
    shutil.copytree(exports["onnx"], tmp_path / "copied")
    return tmp_path / "copied"


def noted(folder: Path, **changes: object) -> None:
    note = json.loads((folder / NOTE).read_text())
    (folder / NOTE).write_text(json.dumps(note | changes))


@pytest.mark.parametrize("engine", ENGINES)
def test_vectors_are_those_of_the_graph(exports: dict[str, Path], engine: str) -> None:
    encoder = sightline.load(exports[engine])
    assert repr(encoder).endswith(f'device="cpu", precision="float32", engine="{engine}")')
    pixels = encoder.profile.normalize(np.stack([encoder.profile.resize_and_crop(one) for one in PICTURES[:3]]))
    fields = pixels.reshape(3, 3, 4, pixels.shape[2] // 4, 4, pixels.shape[3] // 4).mean((3, 5)).reshape(3, -1)
    expected = fields @ np.random.default_rng(48).standard_normal((48, encoder.dim), np.float32)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(encoder.encode_images(PICTURES[:3]), expected, atol=1e-5)
    texts = encoder.encode_text(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-6)
    for row, text in enumerate(TEXTS):  # padding changes nothing
        np.testing.assert_allclose(encoder.encode_text([text])[0], texts[row], atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_broken_neighbour_changes_nothing(exports: dict[str, Path], engine: str, tmp_path: Path) -> None:
    encoder = sightline.load(exports[engine], batch_size=8)
    bad = tmp_path / "bad.png"
    bad.write_text("no picture")

    def vectors(images: list) -> list:
        return [one.vector for one in encoder.stream(images, lambda image: (encoder.open_image(image), None))]

    whole, broken = vectors(PICTURES), vectors([*PICTURES[:2], bad, *PICTURES[3:]])
    alone = [vectors([picture])[0] for picture in PICTURES[:2]]
    assert isinstance(broken.pop(2), ImageError)
    assert np.array_equal(np.stack(broken), np.delete(np.stack(whole), 2, axis=0))
    assert np.array_equal(np.stack(alone), np.stack(whole)[:2])


@pytest.mark.parametrize("engine", ENGINES)
def test_an_encoder_can_be_pickled(exports: dict[str, Path], engine: str) -> None:
    encoder = sightline.load(exports[engine])
    vectors = encoder.encode_text(TEXTS)
    assert np.array_equal(pickle.loads(pickle.dumps(encoder)).encode_text(TEXTS), vectors)


def test_words_are_not_encoded_by_numpy(exports: dict[str, Path]) -> None:
    assert not TextEncoder(exports["onnx"]).usable


def test_an_index_of_the_checkpoint_is_searched_with_its_export(exports: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, picture in enumerate(PICTURES[:4]):
        picture.save(folder / f"{number}.png")
    for built, searched in (("mini", exports["onnx"]), (exports["openvino"], "mini")):
        index = tmp_path / f"index of {Path(built).name}"
        sync(index, [folder], built)
        assert len(open_index(index, searched).search("a red circle")) == 4
    with pytest.raises(ModelMismatch):
        open_index(index, "mini-align")


def test_an_export_of_films(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    export = drawn_export(tmp_path / "films", "mini-xclip")
    encoder = sightline.load(export)
    assert "gives vectors alone" in caplog.text
    assert encoder.rescoring == 0
    assert encoder.frames == encoder.config.vision_config.num_frames
    path = film(tmp_path / "film.mp4", [1, 2, 3, 4], size=(96, 64))
    assert encoder.encode_videos([path]).shape == (1, encoder.dim)
    sync(tmp_path / "index", [path], encoder)
    assert open_index(tmp_path / "index").search("red")


def test_scores_are_cosines_where_the_checkpoint_scores_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, index = film(tmp_path / "film.mp4", [1, 2, 3, 4], size=(96, 64)), tmp_path / "index"
    sync(index, [path], "mini-xclip")
    export = drawn_export(tmp_path / "films", "mini-xclip")
    opened = open_index(index, export)
    for _ in range(2):
        assert opened.search("red")
    assert caplog.text.count("no item is scored again") == 1
    with pytest.raises(UsageError, match="exact scores need the checkpoint that it was made of: mini-xclip"):
        opened.search("red", rescore=5)
    with pytest.raises(UsageError, match="keeps more of each item, and that takes the checkpoint"):
        sync(index, [path], export)
    assert open_index(index).encoder.source.name == "mini-xclip"  # the export's place is not remembered


def test_what_an_export_does_not_give(exports: dict[str, Path], tmp_path: Path) -> None:
    encoder, export = sightline.load(exports["onnx"]), exports["onnx"]
    regions = drawn_export(tmp_path / "regions", "mini-groupvit")
    PICTURES[0].save(tmp_path / "0.png")
    for work in (
        lambda: encoder.embed_text(TEXTS, project=False),
        lambda: list(encoder.stream(PICTURES, lambda image: (image, None), project=False)),
        lambda: list(encoder.stream(PICTURES, lambda image: (image, None), extras=True)),
        lambda: sightline.Segmenter(regions),
        lambda: sync(tmp_path / "index", [tmp_path / "0.png"], regions, regions=True),
    ):
        with pytest.raises(UsageError, match=r"gives vectors alone; .* the checkpoint that it was made of: mini"):
            work()
    with pytest.raises(CheckpointError, match="name the checkpoint that it was made of, mini"):
        sightline.CLIPModel.from_pretrained(export)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"precision": "bfloat16"}, "computes in float32, not in bfloat16"),
        ({"device": "cuda"}, "no device 'cuda' in the ONNX Runtime that is installed, which has cpu"),
        ({"device": "tpu"}, "no device 'tpu'"),
    ],
)
def test_options_that_it_has_not(exports: dict[str, Path], options: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        sightline.load(exports["onnx"], **options)


def test_devices_of_openvino(exports: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="no device 'cuda' for OpenVINO here, which has cpu"):
        sightline.load(exports["openvino"], device="cuda")


def test_what_is_missing_or_damaged(copied: Path, tmp_path: Path) -> None:
    def says(match: str) -> None:
        with pytest.raises(CheckpointError, match=match):
            sightline.load(copied).encode_images(PICTURES[:1])

    vision = copied / "onnx/vision_model.onnx"
    content = vision.read_bytes()
    vision.write_bytes(content[: len(content) // 2])
    says(r"vision_model.onnx: ONNX Runtime \S+ cannot run it .* sightline export mini --to onnx --out")
    vision.write_bytes(content + bytes(8))
    with pytest.raises(CheckpointError, match=r"vision_model.onnx: damaged, or changed since the export"):
        _ = sightline.load(copied).fingerprint
    vision.unlink()
    says(r"vision_model.onnx: missing from the export")
    vision.write_bytes(content)
    noted(copied, format=2)
    says(r"export.json: an export of format 2 .* update it, or export again")
    noted(copied, format=1, engine="tensorrt")
    says(r"the engine 'tensorrt'")
    noted(copied, engine="onnx", layout="immich")
    says(r"in the layout of immich, for that program alone: name the checkpoint mini, or export it without --layout")
    noted(copied, layout="sightline", towers={})
    says(r"export.json: it says no precision, fingerprint, source or towers")
    (copied / NOTE).write_text('{"format":')
    says(r"export.json")
    (copied / NOTE).unlink()
    says(r"half an export: there is no export.json in it")
    images = drawn_export(tmp_path / "images", towers=("vision",))
    encoder = sightline.load(images)
    assert encoder.encode_images(PICTURES[:1]).shape == (1, 128)
    with pytest.raises(CheckpointError, match="the tower for texts was not exported, only that for images"):
        encoder.encode_text(TEXTS)


def test_the_command_that_makes_it_anew(copied: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my exports"
    copied.rename(folder)
    noted(folder, precision="int8", source="my model")
    again = sightline.load(folder).exported.again
    assert again == f"sightline export 'my model' --to onnx --precision int8 --out '{folder}'"


def test_memory_that_runs_out_is_no_damage(exports: dict[str, Path]) -> None:
    encoder = sightline.load(exports["onnx"])
    given = []

    def compute(inputs: dict[str, np.ndarray]) -> np.ndarray:
        given.append(len(inputs["pixel_values"]))
        if given[-1] > 2:
            raise MemoryError
        return np.ones((given[-1], encoder.dim), np.float32)

    encoder._image._computes |= {True: compute, False: compute}
    assert encoder.encode_images(PICTURES[:1] * 8).shape == (8, encoder.dim)
    assert min(given) == 2


def test_an_engine_that_is_not_installed(exports: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for engine, module in (("onnx", "onnxruntime"), ("openvino", "openvino")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(UsageError, match=rf'need {module}: pip install "sightline-search\[{engine}\]"'):
            sightline.load(exports[engine])


def test_verify(exports: dict[str, Path]) -> None:
    checks = {check.what: check for check in verify(exports["onnx"])}
    assert checks["files"].passed
    assert not checks["vectors"].passed  # the drawn graphs are not mini
    assert not {"weights", "logits", "precision"} & checks.keys()


NO_TORCH = """
import sys
from pathlib import Path
import sightline
from sightline.cli.program import app
export, files, index = sys.argv[1:]
def without_torch(*command):
    app(command, standalone_mode=False)
    assert "torch" not in sys.modules, command
without_torch("index", files, "--index", index, "--model", export)
without_torch("search", "a red circle", "--index", index)
without_torch("search", "--image", files + "/1.png", "--index", index, "--json")
without_torch("similar", "--index", index)
without_torch("info", "--index", index)
without_torch("verify", "--image", files + "/1.png", export)
without_torch("eval", "retrieval", export, files + "/captions.csv", "--fresh")
without_torch("eval", "zeroshot", export, files + "/classes.csv", "--fresh")
opened = sightline.open_index(index)
assert len(opened.search_many(["red", "blue", "green", Path(files) / "2.png", "a star"])) == 5
assert sightline.retrieve(export, [Path(files) / "1.png"], ["red", "blue"]).text_to_image.index.shape == (2, 1)
assert "torch" not in sys.modules
"""


@pytest.mark.system
@pytest.mark.parametrize("engine", ENGINES)
def test_torch_is_not_imported(exports: dict[str, Path], engine: str, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    rows = ["file,caption"]
    for number, picture in enumerate(PICTURES[:6]):
        picture.save(files / f"{number}.png")
        rows.append(f'{number}.png,"{scenes.sample(number).caption}"')
    (files / "captions.csv").write_text("\n".join(rows))
    (files / "classes.csv").write_text(
        "\n".join(["file,class", *(f"{number}.png,{('cat', 'dog')[number % 2]}" for number in range(6))])
    )
    given = [str(path) for path in (exports[engine], files, tmp_path / "index")]
    ended = subprocess.run([sys.executable, "-c", NO_TORCH, *given], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert engine.replace("onnx", "ONNX Runtime").replace("openvino", "OpenVINO") in ended.stdout  # of `info`
