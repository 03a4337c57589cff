"""What a profile says of a model and its parts, and that measuring changes nothing that is computed."""

import sys
from collections import Counter
from functools import partial

import pytest
import torch
import transformers
from torch import nn

import sightline
from sightline.errors import SightlineError, UsageError
from sightline.nn.quantized import load_library
from sightline.optimize import profile_encoder, profile_work
from sightline.optimize.profile import shapes
from sightline.optimize.profile_clock import Clock
from sightline.optimize.profile_parts import Part, _steps, _Timed, _Watch
from sightline.optimize.profile_places import Places, kind, pieces
from sightline.optimize.profile_record import Profile, Side, by_kind
from sightline.optimize.profile_stages import WAITING, Stage, Stages, watch
from sightline.optimize.profile_work import peak
from support.images import as_bytes, image
from support.models import PACKAGED

CPU = torch.device("cpu")


class Doubled(nn.Module):
    """A linear map that is called twice, and one whose tensors are used without a call."""

    def __init__(self):
        super().__init__()
        self.called, self.read = nn.Linear(4, 4), nn.Linear(4, 8)

    def forward(self, x):
        return {"out": (nn.functional.linear(self.called(self.called(x)), self.read.weight), [x]), "none": None}


def test_a_module_is_profiled_as_scripts_do_it():
    profiler = sightline.ModelProfiler(Doubled())
    found = profiler.profile_inference({"x": torch.zeros(3, 4)}, iterations=4)
    assert found["outputs_shape"] == {"out": [(3, 8), [(3, 4)]], "none": "NoneType"}
    assert len(profiler.inference_times) == len(profiler.memory_usage) == 4
    assert 0 < found["median_inference_time"] <= found["p95_inference_time"] <= max(profiler.inference_times)
    assert found["avg_inference_time"] == pytest.approx(sum(profiler.inference_times) / 4)
    assert found["peak_memory_mb"] >= found["memory_usage_mb"] > 10


@pytest.mark.parametrize("inputs", [torch.zeros(2, 4), (torch.zeros(2, 4),), [torch.zeros(2, 4)]])
def test_inputs_may_be_a_tensor_or_several(inputs):
    assert sightline.ModelProfiler(torch.relu).profile_inference(inputs, 1)["outputs_shape"] == (2, 4)


def test_no_model_and_no_passes_are_refused():
    with pytest.raises(UsageError, match="int is no model"):
        sightline.ModelProfiler(3)
    with pytest.raises(UsageError, match="iterations is 0"):
        sightline.ModelProfiler(torch.relu).profile_inference(torch.zeros(1), 0)


def test_shapes_of_a_model_of_the_reference():
    config = transformers.CLIPTextConfig(
        vocab_size=50, hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2
    )
    model = transformers.CLIPTextModel(config).eval()
    profiler, inputs = sightline.ModelProfiler(model), {"input_ids": torch.ones(2, 5, dtype=torch.long)}
    assert profiler.profile_inference(inputs, 1)["outputs_shape"]["last_hidden_state"] == (2, 5, 8)
    mlp = next(part for part in profiler.profile_parts(inputs, 2) if part.path.endswith("layers.1.mlp.fc1"))
    assert (mlp.calls, mlp.multiplications) == (1, 2 * 5 * 8 * 16)


def test_parts_have_their_calls_multiplications_and_memory():
    parts = {p.path: p for p in sightline.ModelProfiler(Doubled()).profile_parts(torch.zeros(3, 4), 2)}
    assert {path: part.calls for path, part in parts.items()} == {"": 1, "called": 2, "read": 1}
    assert parts["called"].multiplications == 2 * 3 * 4 * 4
    assert parts["read"].multiplications == 3 * 4 * 8
    assert (parts["called"].weights, parts["read"].weights) == (4 * 20, 4 * 40)
    assert (parts["called"].written, parts["read"].written) == (2 * 4 * 12, 4 * 24)
    assert parts["called"].seconds == sum(parts["called"].operations.values()) > 0


def test_a_function_has_the_modules_that_it_calls():
    layer = nn.Linear(4, 4)
    parts = sightline.ModelProfiler(lambda x: layer(x) + 1).profile_parts(torch.zeros(2, 4), 1)
    assert {part.path for part in parts} == {"", "Linear"}


@pytest.fixture(scope="module", params=PACKAGED.values())
def towers(request):
    """Both towers of a packaged model with a batch for each."""
    encoder = sightline.load(request.param, precision="float32", device="cpu")
    height, width = encoder.profile.output_size
    frames = (encoder.config.frames,) if encoder.config.takes_videos else ()
    shape = (2, *frames, 3, height, width)
    ids, mask = map(torch.from_numpy, encoder.tokenizer.pad(encoder.tokens(["a red circle", "a moon on sand"])))
    image, text = encoder.image_side.tower, encoder.text_side.tower
    return [(image, (torch.randn(shape, generator=torch.manual_seed(0)),)), (text, (ids, mask))]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_measuring_changes_no_bit(mode, towers):
    for tower, inputs in towers:
        with mode():
            plain = tower.embed(*inputs)
            places = Places(tower.embed)
            with _Watch(places, sys._getframe()) as watched:
                seen = tower.embed(*inputs)
            with _Timed(Clock(CPU)) as timed:
                counted = tower.embed(*inputs)
        assert torch.equal(plain, seen)
        assert torch.equal(plain, counted)
        assert len(watched.steps) == len(timed.seconds)


def test_every_operation_has_a_part_and_all_weights_are_counted(towers):
    for tower, inputs in towers:
        parts = sightline.ModelProfiler(tower.embed).profile_parts(inputs, 1)
        modules = dict(tower.named_modules())
        assert {part.path for part in parts} <= modules.keys()
        held = {t.data_ptr(): t.nbytes for t in (*tower.parameters(), *tower.buffers()) if t.numel()}
        assert sum(part.weights for part in parts) == sum(held.values())
        at_root = next((part.seconds for part in parts if not part.path), 0.0)
        assert at_root < 0.5 * sum(part.seconds for part in parts)


def test_the_parts_multiply_as_much_in_either_mode(towers):
    """In inference mode there are other operations, some of which are made of several."""
    for tower, inputs in towers:
        found = []
        for mode in (torch.no_grad, torch.inference_mode):
            work = Counter()
            with mode():
                for step in _steps(partial(tower.embed, *inputs), Places(tower.embed)):
                    work[step.path] += step.multiplications
            found.append(+work)  # without parts that multiply nothing
        assert found[0] == found[1]


@pytest.mark.filterwarnings("ignore:.*SwigPy", "ignore:.*_check_is_size")
@pytest.mark.parametrize("kind", ["int8", "int4", "8 bits", "torchao"])
def test_quantised_parts_multiply_as_much_and_are_as_large_as_they_are(kind):
    pixels, plain = torch.randn(2, 3, 64, 64), sightline.load("mini", precision="float32", device="cpu")
    if kind in ("int8", "int4"):
        tower = sightline.load("mini", precision=kind, device="cpu").image_side.tower
    else:
        config = {"load_in_8bit": True}
        if kind == "torchao":
            quantization = load_library("torchao.quantization")
            config = sightline.TorchAoConfig(quantization.Int8DynamicActivationInt8WeightConfig())
        tower = sightline.CLIPVisionModelWithProjection.from_pretrained(
            "mini", dtype=torch.float32, quantization_config=config
        )
    found = []
    for each in (tower, plain.image_side.tower):
        given = pixels.to(next((p.dtype for p in each.parameters() if p.is_floating_point()), torch.float32))
        places = Places(each.embed)
        with torch.inference_mode():
            steps = _steps(partial(each.embed, given), places)
        found.append((sum(step.multiplications for step in steps), sum(places.weights.values())))
    (work, size), (whole_work, whole_size) = found
    assert work == pytest.approx(whole_work, rel=0.1)  # int8 leaves less of the last block out
    assert 0.125 < size / whole_size < (0.5 if kind == "int4" else 0.45)


def test_an_encoder_is_profiled_in_inference_mode(monkeypatch, tmp_path):
    monkeypatch.setattr(profile_work, "PEAK_SECONDS", 0.0)
    monkeypatch.setattr(profile_encoder, "watch", lambda work, threads: Stages(work(), 1.0, threads, []))
    image(1, (80, 80)).save(tmp_path / "1.png")
    encoder = sightline.load("mini", precision="float32", device="cpu", batch_size=2)
    seen = []
    for side in (encoder.image_side, encoder.text_side):
        embed = side.tower.embed
        monkeypatch.setattr(
            side.tower, "embed", lambda *x, _embed=embed: seen.append(torch.is_inference_mode_enabled()) or _embed(*x)
        )
    profile_encoder.profile_encoder(encoder, [tmp_path / "1.png"], ["a red circle"], 1)
    assert len(seen) > 6
    assert all(seen)


def test_fused_maps_are_told_apart():
    tower = sightline.load("mini", precision="float32", device="cpu").image_side.tower
    parts = {
        part.path: part for part in sightline.ModelProfiler(tower.embed).profile_parts(torch.zeros(1, 3, 64, 64), 1)
    }
    block = "vision_model.encoder.layers.0"
    width, hidden = parts[f"{block}.mlp.fc2"].weights, parts[f"{block}.mlp.fc1"].weights
    assert parts[f"{block}.mlp.fc1"].calls == parts[f"{block}.mlp.fc2"].calls == 1
    assert parts[f"{block}.mlp.fc1"].multiplications == parts[f"{block}.mlp.fc2"].multiplications > 0
    assert min(width, hidden) > 0
    assert parts[f"{block}.self_attn.qkv"].multiplications > parts[f"{block}.self_attn.out_proj"].multiplications
    last = max(int(path.split(".")[3]) for path in parts if path.startswith("vision_model.encoder.layers."))
    assert parts[f"vision_model.encoder.layers.{last}.self_attn.qkv"].multiplications > 0


def test_a_model_that_computes_another_thing_each_time_is_refused():
    seen = []

    def model(x):
        seen.append(x)
        for _ in range(len(seen)):
            x = x + 1
        return x

    with pytest.raises(SightlineError, match="something else at each call"):
        sightline.ModelProfiler(model).profile_parts(torch.zeros(1), 2)


def test_paths_by_kind():
    assert pieces("encoder.stages.0.layers.11.mlp.fc1") == ["encoder", "stages.*", "layers.*", "mlp", "fc1"]
    assert kind("encoder.layers.3.mlp.fc1") == "encoder.layers.*.mlp"
    assert kind("encoder.layers.3") == "encoder.layers.*"
    assert kind("vision_model.embeddings.patch_embedding") == "vision_model.embeddings"
    assert kind("") == ""


def test_parts_of_a_kind_are_added_up():
    numbers = {"multiplications": 2, "weights": 3, "written": 4}
    parts = [
        Part(
            path=f"layers.{n}{more}",
            calls=1,
            seconds=1.0,
            **numbers,
            operations={"mm": 1},
        )
        for n in range(3)
        for more in (".mlp", ".mlp.fc1", "")
    ]
    mlp, block = by_kind(parts)
    assert (mlp.path, mlp.calls, mlp.seconds, mlp.multiplications, mlp.weights) == ("layers.*.mlp", 3, 6.0, 12, 18)
    assert (block.path, block.calls, block.written, block.operations) == ("layers.*", 3, 12, {"mm": 3})


def test_shapes_in_any_form():
    assert shapes([torch.zeros(2), {"a": (1.0, torch.zeros(()))}]) == [(2,), {"a": ["float", ()]}]


def test_the_peak_is_a_rate():
    assert peak(Clock(CPU), torch.float32) > 1e6


def test_threads_are_watched():
    encoder, picture = sightline.load("mini", device="cpu"), as_bytes(image(1, (400, 300)), "JPEG")

    def work():
        return len(encoder.encode_images([picture]))

    found = watch(work, 1, 0.3)
    assert sum(stage.share for stage in found.stages) == pytest.approx(1)
    assert sum(stage.seconds for stage in found.stages) == pytest.approx(found.seconds / found.items)
    assert {"computing", "decoding"} & {stage.name for stage in found.stages} - {WAITING}


@pytest.fixture
def profile():
    part = Part(path="layers.0", calls=1, seconds=0.5, multiplications=10, operations={"mm": 0.5})
    stages = Stages(4, 2.0, 1, [Stage("computing", 0.5, 1.0)])
    numbers = {"seconds": 0.6, "times": [0.6], "peak": 100.0, "memory": 1.0, "peak_memory": 2.0}
    side = Side(reads="images", shape=[2, 3, 8, 8], dtype="float32", parts=[part], pipeline=stages, **numbers)
    return Profile(
        model="m", fingerprint="f", device="cpu", precision="float32", threads=1, inputs="drawn", sides=[side]
    )


def test_a_profile_can_be_saved_and_opened(profile, tmp_path):
    profile.save(tmp_path / "p.json")
    assert Profile.open(tmp_path / "p.json") == profile
    assert profile.side("texts") is None
    assert profile.sides[0].between == pytest.approx(0.1)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"profile": 1}', '{"profile": 9}', '{"profile": 1, "sides": 3}'])
def test_other_files_are_no_profiles(text, tmp_path):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(UsageError, match=r"p\.json: (no profile|a profile of a later)"):
        Profile.open(tmp_path / "p.json")
    with pytest.raises(UsageError, match="no such file"):
        Profile.open(tmp_path / "none.json")
