"""Exports: what the folder holds, what is refused, and that nothing is left of what fails."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import sightline
from sightline.checkpoint.names import PACKAGED
from sightline.cli.main import main
from sightline.errors import SightlineError, UsageError
from sightline.optimize import export as making, onnx_graph, samples, sides
from sightline.optimize.export import export
from sightline.optimize.immich import export_immich, immich_preprocessing
from sightline.optimize.traced import traced
from sightline.processing.image.profile import PixelProfile
from sightline.scenes import distinct

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "mini"
    export("mini", folder)
    return folder


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_folder_holds_all_that_an_engine_needs(exported: Path, mini: Any) -> None:
    names = sorted(path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file())
    packaged = {path.name for path in (PACKAGED / "mini").iterdir()} - {"model.safetensors", "README.md"}
    assert set(names) >= {"export.json", "onnx/text_model.onnx", "onnx/vision_model.onnx", "config.json"}
    assert {"config.json", "preprocessor_config.json", "tokenizer.json"} <= packaged & set(names)
    note = json.loads((exported / "export.json").read_text())
    assert (note["format"], note["engine"], note["precision"]) == (1, "onnx", "float32")
    assert note["fingerprint"] == mini.fingerprint
    assert list(note["towers"]["text"]["inputs"]) == ["attention_mask", "input_ids"]
    assert [path.name for path in exported.parent.iterdir()] == ["mini"]

    images = [scene.draw(64) for scene in distinct(3, 1)]
    pixels = mini.profile.normalize(np.stack([mini.profile.resize_and_crop(image) for image in images]))
    session = onnxruntime.InferenceSession(str(exported / note["towers"]["vision"]["file"]))
    found = unit(session.run(["image_embeds"], {"pixel_values": pixels})[0])
    assert np.abs(found - mini.encode_images(images)).max() < 1e-5

    ids, mask = mini.tokenizer.pad(mini.tokens(["a red circle", "two", ""]), None)
    session = onnxruntime.InferenceSession(str(exported / note["towers"]["text"]["file"]))
    found = unit(session.run(["text_embeds"], {"input_ids": ids, "attention_mask": mask})[0])
    assert np.abs(found - mini.encode_text(["a red circle", "two", ""])).max() < 1e-5


def test_int8_has_fixed_scales(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number, scene in enumerate(distinct(40, 2)):
        scene.draw(64).save(pictures / f"{number}.png")
    captions = tmp_path / "captions.txt"
    captions.write_text("\n".join(scene.caption for scene in distinct(40, 2)))
    options = ["--precision", "int8", "--calibrate", str(pictures), "--texts", str(captions)]
    assert main(["export", "mini", "--out", str(tmp_path / "int8"), *options]) == 0
    assert "mean cosine of 0.99" in capsys.readouterr().out
    path = tmp_path / "int8/onnx/vision_model.onnx"
    kinds = {node.op_type for node in onnx.load(str(path)).graph.node}
    assert "QuantizeLinear" in kinds
    assert "DynamicQuantizeLinear" not in kinds
    # Replacing a batch's other pictures changes no bit of the first's vector.
    session = onnxruntime.InferenceSession(str(path))
    rng = np.random.default_rng(0)
    one, others = (rng.standard_normal((n, 3, 64, 64), np.float32) for n in (1, 3))
    first, second = (
        session.run(None, {"pixel_values": np.concatenate([one, rest])})[0][0] for rest in (others, 50 * others)
    )
    assert np.array_equal(first, second)


def test_immich_reads_its_layout(tmp_path: Path, mini: Any) -> None:
    """By what Immich's service does: its names, its types, its padding, its preprocessing."""
    import tokenizers

    folder = tmp_path / "immich"
    export_immich("mini", folder)
    length = json.loads((folder / "config.json").read_text())["text_cfg"]["context_length"]
    settings = json.loads((folder / "textual/tokenizer_config.json").read_text())
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "textual/tokenizer.json"))
    pad = settings["pad_token"]
    tokenizer.enable_padding(length=length, pad_token=pad, pad_id=tokenizer.token_to_id(pad))
    tokenizer.enable_truncation(max_length=length)
    session = onnxruntime.InferenceSession(str(folder / "textual/model.onnx"))
    for text in ("a red circle", "a " * 100):
        tokens = np.array([tokenizer.encode(text).ids], dtype=np.int32)
        assert np.abs(session.run(None, {"text": tokens})[0] - mini.encode_text([text])).max() < 1e-5

    said = json.loads((folder / "visual/preprocess_cfg.json").read_text())
    assert (said["interpolation"], said["resize_mode"]) == ("bicubic", "shortest")
    image = distinct(1, 3)[0].draw(said["size"][0])
    mean, std = (np.array(said[name], np.float32) for name in ("mean", "std"))
    pixels = ((np.asarray(image, np.float32) / 255 - mean) / std).transpose(2, 0, 1)[None]
    session = onnxruntime.InferenceSession(str(folder / "visual/model.onnx"))
    assert np.abs(session.run(None, {"image": pixels})[0] - mini.encode_images([image])).max() < 1e-5


def test_what_differs_from_torch_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: Path
) -> None:
    folder = tmp_path / "kept"
    shutil.copytree(exported, folder)
    before = sorted(path.name for path in folder.rglob("*"))

    def wrong(tower: Any) -> Any:
        found = traced(tower)
        found.visual_projection.weight.data *= 1.001
        return found

    monkeypatch.setattr(sides, "traced", wrong)
    with pytest.raises(SightlineError, match="differs from torch by"):
        export("mini", folder)
    assert sorted(path.name for path in folder.rglob("*")) == before
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_without_a_tokenizer_the_tower_for_images_is_exported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here also as if its weights were too large for one file."""
    monkeypatch.setattr(onnx_graph, "_LARGEST", 0)
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(PACKAGED / "mini", checkpoint)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (checkpoint / name).unlink(missing_ok=True)
    assert [one.name for one in export(checkpoint, tmp_path / "out")] == ["vision"]
    assert "no tokenizer in it" in caplog.text
    assert (tmp_path / "out/onnx/vision_model.onnx.data").stat().st_size > 1_000_000
    with pytest.raises(SightlineError, match="which Immich needs"):
        export_immich(checkpoint, tmp_path / "immich")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"to": "tflite"}, "no engine 'tflite' to export to: choose onnx or openvino"),
        ({"precision": "int3"}, "no precision 'int3' to export"),
        ({"precision": "bfloat16"}, "bfloat16 is no precision of a file"),
        ({"precision": "float16"}, "on GPUs alone"),
        ({"calibrate": "pictures"}, "are for int8 alone"),
        ({"precision": "int8", "calibrate": "no/such"}, "no/such: no such folder of images"),
        ({"precision": "int8", "texts": "no/such"}, "no/such: cannot be read as a text"),
        ({"out": "full"}, "is not empty and holds no export"),
        ({"out": "full/file"}, "is a file: name a folder"),
        ({"out": "none/there"}, "there is no folder"),
    ],
)
def test_wrong_use_is_one_line(
    options: dict[str, Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("")
    if "texts" in options:  # which come after the images
        from sightline.optimize import export as module

        monkeypatch.setattr(module, "open_sides", _texts_alone(module.open_sides))
    with pytest.raises(UsageError) as raised:
        export("mini", **({"out": "new"} | options))
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]


def _texts_alone(open_sides: Any) -> Any:
    return lambda source, names: open_sides(source, ("text",))


def test_an_export_is_not_exported_again(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name the checkpoint that it was made of, mini"):
        export(exported, tmp_path / "out")


def test_a_model_in_memory_is_refused() -> None:
    with pytest.raises(UsageError, match="save it with its processor first"):
        export(sightline.CLIPModel.from_pretrained("mini"), "out")  # type: ignore[arg-type]


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'needs onnx: pip install "sightline-search\[onnx\]"'):
        export("mini", tmp_path / "out")


def test_what_nothing_would_read_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["export", "mini", "--out", str(tmp_path / "out"), "--layout", "immich", "--calibrate", "pictures"]) == 2
    )
    assert "leave out --calibrate and --texts" in capsys.readouterr().err
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(PACKAGED / "mini", checkpoint, ignore=shutil.ignore_patterns("tokenizer*"))
    with pytest.raises(UsageError, match="has no tokenizer to read texts by"):
        export(checkpoint, tmp_path / "out", precision="int8", texts="captions.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_what_immich_cannot_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a model of videos"):
        export_immich("mini-xclip", tmp_path / "out")
    assert not list(tmp_path.iterdir())
    said = {"image_processor_type": "EfficientNetImageProcessor", "size": {"height": 346, "width": 346}}
    said |= {"crop_size": {"height": 289, "width": 289}, "do_center_crop": True}
    with pytest.raises(UsageError, match="this checkpoint's preprocessing is another"):
        immich_preprocessing(PixelProfile.from_dict(said), "align")


def test_calibration_is_evenly_spread_and_apart_from_the_comparison(caplog: pytest.LogCaptureFixture) -> None:
    lines = [str(number) for number in range(200)]
    assert samples._spread(lines[:144], "lines") == lines[:144]
    spread = [int(line) for line in samples._spread(lines, "lines")]
    assert (len(spread), spread[0], spread[-1]) == (144, 0, 198)
    assert max(np.diff(spread)) == 2
    assert "of 200 lines to calibrate by 144 are taken" in caplog.text
    for count, kept in ((144, 16), (20, 10), (3, 1)):
        measured, compared = making._divided({"x": np.arange(count)})
        assert (len(compared["x"]), len(measured["x"])) == (kept, count - kept)
        assert sorted([*measured["x"], *compared["x"]]) == list(range(count))
    making._divided({"x": np.arange(1)})
    assert "by that input itself" in caplog.text
