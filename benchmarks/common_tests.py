"""The reference's common tests on Sightline's classes and on its own: which of those that it passes do ours pass?

python benchmarks/common_tests.py TESTS [--only REGEX] [--verbose] [--json FILE]

TESTS is the folder `tests` of the source distribution of the installed `transformers` (`pip download --no-binary
transformers --no-deps transformers==VERSION`); nothing of it is kept here. It needs the package `parameterized`. The
testers, which say what a small model of each family is, are ours. A pair is a class and a test; those that the
reference skips or fails do not count, nor do tests of its inner workings (`INNER`), which no script touches. For our
classes the tests import from Sightline what it has under the same name. Pairs that fail for a reason that is known
(`KNOWN`) count as failed, and are listed by reason.
"""

import argparse
import contextlib
import io
import json
import os
import re
import sys
import tempfile
import types
import unittest
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import torch
import transformers

import sightline
from sightline.checkpoint.names import PACKAGED

INNER = re.compile(
    # other machines, parallel plans, kernels
    r"_tp_|tensor_parallel|fsdp|kernels|deepspeed|offload|model_parallelism|flash_attn|flex_attention|torchvision|"
    # kinds of models and inputs that these families have none of
    r"moe|_rope_|router|audio|causal_lm|encoder_decoder|sentencepiece|multimodal|chat_template|continue_final|jinja|"
    r"legacy_annotation|"
    # how its classes are written, record and initialise, and its own tests
    r"generation_tester|capture_outputs_decorator|can_record|can_capture|can_init_all|init_weights_can|"
    r"num_layers_is_small|model_is_small|reverse_loading|already_mapped|mixin_inheritance|valid_kwargs_set|"
    r"valid_processor_kwargs|redundant_default|call_arguments_|init_arguments_|store_full_signature|integration"
)
"""Tests of the reference's inner workings, which no script touches, and of what these families lack."""

KNOWN = {
    "test_model_weights_reload_no_missing": "a file without the model's tensors is an error, not a new model",
    "Projection.test_(base_model_prefix|correct_missing)": "a projection that the file lacks is an error",
    "test_gradient_checkpointing_enable_disable": "looks for the reference's class GradientCheckpointingLayer",
    "test_resize_tokens_embeddings": "wants the reference's very words in the error for pad_to_multiple_of=1.3",
    "test_subprocessor_defaults_[01]": "calls an inner function, _merge_kwargs",
    "initialization_with_conflicting_key": "wants an AttributeError for an unknown setting; ours is a TypeError",
    "test_maximum_encoding_length": "waits for a line in the reference's own log",
    "test_add_bos_token_without_bos_token": "assigns add_bos_token=True without such a token: an error here",
    "CLIP(Model|ForImage.*).test_config": "a tower's config out of a whole checkpoint has the whole's projection_dim",
    "test_training_new_tokenizer": "train_new_from_iterator: refused, the tokenizers library trains",
    "test_problem_types": "one class of a single label has nothing to be learned: an error here",
}
"""Pairs that fail, as patterns, each with the reason."""

Settings = dict[str, Any]
TEXT: Settings = {
    "vocab_size": 99,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
}
TEXT |= {"max_position_embeddings": 512, "bos_token_id": 0, "eos_token_id": 98, "pad_token_id": 1}
BERT: Settings = {
    "vocab_size": 99,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
}
BERT |= {"max_position_embeddings": 512, "type_vocab_size": 16}
VISION: Settings = {
    "image_size": 30,
    "patch_size": 2,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
VISION |= {"intermediate_size": 37, "num_channels": 3}
NET: Settings = {
    "image_size": 32,
    "kernel_sizes": [3, 3, 5],
    "in_channels": [32, 16, 24],
    "out_channels": [16, 24, 30],
}
NET |= {"strides": [1, 1, 2], "num_block_repeats": [1, 1, 2], "expand_ratios": [1, 6, 6], "hidden_dim": 64}
NET |= {"hidden_act": "gelu", "num_channels": 3}
STAGES: Settings = {
    "image_size": 30,
    "patch_size": 2,
    "hidden_size": 32,
    "depths": [6, 3, 3],
    "num_hidden_layers": 3,
}
STAGES |= {"num_group_tokens": [64, 8, 0], "num_output_groups": [64, 8, 8], "num_attention_heads": 4}
STAGES |= {"intermediate_size": 37, "num_channels": 3}
FRAMES: Settings = VISION | {
    "num_frames": 8,
    "mit_hidden_size": 32,
    "mit_num_hidden_layers": 2,
    "mit_num_attention_heads": 4,
}
FRAMES |= {"mit_intermediate_size": 37}
PAIR: Settings = {"projection_dim": 32}

FAMILIES: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], list[str]]] = {
    "clip": ("CLIP", TEXT | PAIR, VISION | PAIR, PAIR, ["TextModelWithProjection", "VisionModelWithProjection"]),
    "align": ("Align", BERT, NET, {"projection_dim": 64}, []),
    "groupvit": ("GroupViT", TEXT, STAGES, {"projection_dim": 32, "projection_intermediate_dim": 48}, []),
    "xclip": ("XCLIP", TEXT, FRAMES, {"projection_dim": 32, "prompt_num_attention_heads": 4}, []),
}
"""By family: how its classes begin, the settings of its text tower, its vision tower and the whole, further classes."""


class Tester:
    """What the common tests ask of a small model of one class."""

    batch_size, seq_length, num_channels = 4, 7, 3

    def __init__(self, library: types.ModuleType, family: str, part: str) -> None:
        self.library, self.family, self.part = library, family, part
        self.is_training = part in ("Model", "ForImageClassification")  # what has a loss
        self.begin, self.text, self.vision, self.whole, _ = FAMILIES[family]
        settings = self.text if part.startswith("Text") else self.vision
        for name, value in settings.items():
            setattr(self, name, value)
        self.num_hidden_layers = settings.get("num_hidden_layers", 0)
        if family == "align" and part == "VisionModel":
            self.expected_num_hidden_layers = sum(NET["num_block_repeats"]) * 4
        if part == "Model":
            self.text_model_tester = Tester(library, family, "TextModel")
            self.vision_model_tester = Tester(library, family, "VisionModel")
            if family == "xclip":
                self.video_model_tester = Tester(library, family, "Videos")
        if (part.startswith("Vision") and family in ("clip", "xclip")) or part == "ForImageClassification":
            self.seq_length = (VISION["image_size"] // VISION["patch_size"]) ** 2 + 1
            self.encoder_seq_length = self.seq_length
        if family == "xclip" and part == "VisionModel":
            self.batch_size = 8  # frames: of one video
            self.key_length = self.seq_length + 1

    @property
    def config_class(self) -> Any:
        kind = "TextConfig" if self.part.startswith("Text") else "VisionConfig"
        return getattr(self.library, self.begin + (kind if self.part.startswith(("Text", "Vision")) else "Config"))

    def get_config(self) -> Any:
        if self.part.startswith("Text"):
            return self.config_class(**self.text)
        if self.part.startswith("Vision"):
            return self.config_class(**self.vision)
        return self.config_class(text_config=dict(self.text), vision_config=dict(self.vision), **self.whole)

    def prepare_config_and_inputs_for_common(self) -> tuple[Any, dict[str, torch.Tensor]]:
        inputs: dict[str, Any] = {}
        if not self.part.startswith("Vi") and self.part != "ForImageClassification":
            ids = torch.randint(2, 97, (self.batch_size, 7))
            ids[:, 4 if self.family != "align" else 6] = 98
            inputs |= {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if not self.part.startswith("Text"):
            side = self.vision["image_size"]
            shape: tuple[int, ...] = (self.batch_size, 3, side, side)
            if self.family == "xclip" and not self.part.startswith("Vision"):
                shape = (self.batch_size, self.vision["num_frames"], 3, side, side)
            inputs["pixel_values"] = torch.rand(shape)
        if "input_ids" in inputs and "pixel_values" in inputs:
            inputs["return_loss"] = self.family != "xclip"
        return self.get_config(), inputs

    prepare_config_and_inputs = prepare_config_and_inputs_for_common


def parts(family: str) -> list[str]:
    """The classes of a family, without its beginning."""
    more = [*FAMILIES[family][4], "ForImageClassification"] if family == "clip" else FAMILIES[family][4]
    return ["Model", "TextModel", "VisionModel", *more]


def model_tests(common: Any, configs: Any, library: types.ModuleType) -> Iterator[type[unittest.TestCase]]:
    """A test class for each model class: the model's common tests and those of its config."""
    for family, (begin, *_) in FAMILIES.items():
        for part in parts(family):
            yield _model_test(common, configs, library, family, part, begin + part)


def _model_test(
    common: Any, configs: Any, library: types.ModuleType, family: str, part: str, name: str
) -> type[unittest.TestCase]:
    # A class that is missing fails each of its tests.
    classes = (getattr(library, name),) if hasattr(library, name) else ()
    alone = part.startswith(("Text", "Vision"))

    def set_up(self: Any) -> None:
        assert classes, f"no {name}"
        torch.manual_seed(0)
        self.model_tester = Tester(library, family, part)
        config_class = self.model_tester.config_class
        inner = self.model_tester.text if part.startswith("Text") else self.model_tester.vision
        # A whole config's widths must fit its towers' by default.
        widths = {"align": {"projection_dim": 640}, "xclip": {"projection_dim": 512}}
        own = dict(inner) if alone else self.model_tester.whole | widths.get(family, {})
        shown = ["hidden_size"] if "hidden_size" in own else ["projection_dim"] if not alone else ["hidden_dim"]
        self.config_tester = configs.ConfigTester(
            self, config_class=config_class, has_text_modality=False, common_properties=shown, **own
        )

    def test_config(self: Any) -> None:
        self.config_tester.run_common_tests()

    members: dict[str, Any] = {
        "all_model_classes": classes,
        "setUp": set_up,
        "test_config": test_config,
        "has_attentions": (family, part) not in {("align", "VisionModel"), ("align", "Model")},
        "_is_composite": not alone,
        "test_resize_embeddings": part.startswith("Text"),
        "additional_model_inputs": [],
        "pipeline_model_mapping": {},
    }
    return type(name, (common.ModelTesterMixin, unittest.TestCase), members)


def image_processor_tests(common: Any, library: types.ModuleType) -> Iterator[type[unittest.TestCase]]:
    """CLIP's and EfficientNet's (ALIGN) image processors."""
    kinds = {
        "CLIPImageProcessor": {"size": {"shortest_edge": 20}, "crop_size": {"height": 18, "width": 18}},
        "EfficientNetImageProcessor": {"size": {"height": 18, "width": 18}},
    }
    for name, settings in kinds.items():
        yield _image_processor_test(common, library, name, settings)


def _image_processor_test(
    common: Any, library: types.ModuleType, name: str, settings: dict[str, Any]
) -> type[unittest.TestCase]:
    side = 18

    class ImageTester:
        batch_size, num_channels, min_resolution, max_resolution = 7, 3, 30, 400
        size, crop_size = settings["size"], settings.get("crop_size")
        image_processing_classes: ClassVar = {"pil": getattr(library, name, None)}

        def __init__(self, parent: Any) -> None:
            self.parent = parent

        def prepare_image_processor_dict(self) -> dict[str, Any]:
            return {"do_resize": True, "do_normalize": True, "do_convert_rgb": True} | settings

        def expected_output_image_shape(self, images: Any) -> tuple[int, int, int]:
            return 3, side, side

        def prepare_image_inputs(
            self, equal_resolution: bool = False, numpify: bool = False, torchify: bool = False, **_: Any
        ) -> list[Any]:
            return common.prepare_image_inputs(  # type: ignore[no-any-return]
                batch_size=self.batch_size,
                num_channels=self.num_channels,
                min_resolution=self.min_resolution,
                max_resolution=self.max_resolution,
                equal_resolution=equal_resolution,
                numpify=numpify,
                torchify=torchify,
            )

    def has_attributes(self: Any) -> None:
        processor = self.image_processing_classes["pil"](**self.image_processor_dict)
        for attribute in ("do_resize", "size", "do_normalize", "image_mean", "image_std", "resample", "do_rescale"):
            assert hasattr(processor, attribute), attribute

    members: dict[str, Any] = {
        "image_processor_tester_class": ImageTester,
        "test_image_processor_has_attributes": has_attributes,
    }
    return type(name, (common.ImageProcessingTestMixin, unittest.TestCase), members)


def processor_tests(common: Any, library: types.ModuleType) -> Iterator[type[unittest.TestCase]]:
    """The processors, with the packaged models' files."""
    folders = {"CLIPProcessor": "mini", "AlignProcessor": "mini-align", "XCLIPProcessor": "mini-xclip"}
    for name, folder in folders.items():

        def set_up_class(cls: Any, name: str = name, folder: str = folder) -> None:
            cls.processor_class = getattr(library, name)
            cls.tmpdirname = tempfile.mkdtemp()
            cls.full_tmpdirname = None
            cls.processor_class.from_pretrained(PACKAGED / folder).save_pretrained(cls.tmpdirname)

        def component(self: Any, attribute: str, use_tiny_ckpt: bool = True, **settings: Any) -> Any:
            kind = {"tokenizer": "AutoTokenizer", "image_processor": "AutoImageProcessor"}[attribute]
            return getattr(library, kind).from_pretrained(self.tmpdirname, **settings)

        def components(self: Any, **_: Any) -> dict[str, Any]:
            return {name: self.get_component(name) for name in ("image_processor", "tokenizer")}

        members: dict[str, Any] = {
            "setUpClass": classmethod(set_up_class),
            "tearDownClass": classmethod(lambda cls: None),
            "get_component": component,
            "prepare_components": components,
        }
        yield type(name, (common.ProcessorTesterMixin, unittest.TestCase), members)


def tokenizer_tests(common: Any, backend: Any, library: types.ModuleType) -> Iterator[type[unittest.TestCase]]:
    """CLIP's and BERT's tokenizers, with the packaged models' files."""
    for name, folder in {"CLIPTokenizer": "mini", "BertTokenizer": "mini-align"}.items():

        def set_up_class(cls: Any, name: str = name, folder: str = folder) -> None:
            kind = getattr(library, name)
            cls.tokenizer_class = cls.rust_tokenizer_class = kind
            cls.tmpdirname = tempfile.mkdtemp()
            kind.from_pretrained(PACKAGED / folder).save_pretrained(cls.tmpdirname)
            cls.tokenizers_list = [(kind, cls.tmpdirname, {})]
            cls.tokenizers = [kind.from_pretrained(cls.tmpdirname)]

        members: dict[str, Any] = {
            "setUpClass": classmethod(set_up_class),
            "setUp": lambda self: None,
            "tearDownClass": classmethod(lambda cls: None),
            "get_tokenizer": classmethod(
                lambda cls, pretrained_name=None, **settings: cls.tokenizer_class.from_pretrained(
                    pretrained_name or cls.tmpdirname, **settings
                )
            ),
            "from_pretrained_id": None,
            "test_seq2seq": False,
            "test_sentencepiece": False,
            "from_pretrained_kwargs": {},
        }
        bases = (backend.TokenizersBackendTesterMixin, common.TokenizerTesterMixin, unittest.TestCase)
        yield type(name, bases, members)


def import_tests(folder: Path) -> dict[str, Any]:
    """The modules of the reference's common tests. What they import beside them, and the distribution lacks, has
    nothing in it."""
    package = Path(tempfile.mkdtemp()) / "tests"
    package.mkdir()
    (package / "__init__.py").touch()
    for file in folder.glob("*.py"):
        (package / file.name).symlink_to(file)
    sys.path.insert(0, str(package.parent))
    common_settings: dict[str, Any] = {"return_dict": False, "output_hidden_states": True, "output_attentions": True}
    common_settings |= {"chunk_size_feed_forward": 5, "architectures": ["AModel"], "problem_type": "regression"}
    common_settings |= {"id2label": {0: "a", 1: "b"}, "label2id": {"a": 0, "b": 1}, "dtype": "float16"}
    for missing, name, value in (
        ("tests.exporters.test_export", "ExportTesterMixin", type("ExportTesterMixin", (), {})),
        ("tests.generation.test_utils", "GenerationTesterMixin", type("GenerationTesterMixin", (), {})),
        ("fetch_hub_objects_for_ci", "url_to_local_path", str),
        ("tests.utils.test_configuration_utils", "config_common_kwargs", common_settings),
    ):
        for place in filter(None, (missing.rpartition(".")[0], missing)):
            sys.modules.setdefault(place, types.ModuleType(place))
        setattr(sys.modules[missing], name, value)
    names = ["modeling", "configuration", "image_processing", "processing", "tokenization"]
    modules = {name: __import__(f"tests.test_{name}_common", fromlist=["_"]) for name in names}
    return modules | {"backend": __import__("tests.test_tokenizers_backend_mixin", fromlist=["_"])}


def test_classes(modules: dict[str, Any], library: types.ModuleType) -> Iterator[type[unittest.TestCase]]:
    """All test classes for one library."""
    yield from model_tests(modules["modeling"], modules["configuration"], library)
    yield from image_processor_tests(modules["image_processing"], library)
    yield from processor_tests(modules["processing"], library)
    yield from tokenizer_tests(modules["tokenization"], modules["backend"], library)


@contextlib.contextmanager
def imports_of(library: types.ModuleType, modules: dict[str, Any]) -> Iterator[None]:
    """Within it, what the tests import from the reference is the library's, where that has a name of its own for it:
    "only the import changed"."""
    kept = [(module, dict(vars(module))) for module in modules.values()]
    for module, names in kept:
        for name, value in names.items():
            if (getattr(value, "__module__", None) or "").startswith("transformers.") and hasattr(library, name):
                setattr(module, name, getattr(library, name))
    modules["processing"].MODALITY_TO_AUTOPROCESSOR_MAPPING = {
        "tokenizer": library.AutoTokenizer,
        "image_processor": library.AutoImageProcessor,
    }
    try:
        yield
    finally:
        for module, names in kept:
            vars(module).update(names)


class Outcomes(unittest.TestResult):
    """What became of each pair: "passed", "skipped", or the error's last line."""

    def __init__(self) -> None:
        super().__init__()
        self.current = ""
        self.pairs: dict[str, str] = {}
        self.traces: dict[str, str] = {}

    def _note(self, outcome: str) -> None:
        name = self.current
        if self.pairs.get(name, "passed") in ("passed", "skipped") or outcome not in ("passed", "skipped"):
            self.pairs[name] = outcome

    def addSuccess(self, test: Any) -> None:
        self._note("passed")

    def addSkip(self, test: Any, reason: str) -> None:
        self._note("skipped")

    def addError(self, test: Any, err: Any) -> None:
        text = self._exc_info_to_string(err, test)  # type: ignore[attr-defined]
        lines = [line for line in str(err[1]).splitlines() if line.strip()]
        self._note(f"{type(err[1]).__name__}: {lines[0] if lines else ''}"[:300])
        self.traces[self.current] = text

    def addFailure(self, test: Any, err: Any) -> None:
        self.addError(test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self.addError(test, err)


def outcomes(classes: Iterator[type[unittest.TestCase]], wanted: Callable[[str], bool]) -> Outcomes:
    """Runs the tests whose names are wanted."""
    result = Outcomes()
    for kind in classes:
        for method in unittest.TestLoader().getTestCaseNames(kind):
            name = f"{kind.__name__}.{method}"
            if not wanted(name):
                continue
            result.current = name
            quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
            with quiet[0], quiet[1], warnings.catch_warnings():
                warnings.simplefilter("ignore")
                unittest.TestSuite([kind(method)]).run(result)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", type=Path)
    parser.add_argument("--only", type=re.compile, default=re.compile(""), help="pairs whose CLASS.TEST has this in it")
    parser.add_argument("--verbose", action="store_true", help="show the whole errors of ours")
    parser.add_argument("--json", type=Path, help="write the outcomes there")
    parser.add_argument("--reference", type=Path, help="take the reference's outcomes from such a file")
    given = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    modules = import_tests(given.tests.resolve())

    def wanted(name: str) -> bool:
        return bool(given.only.search(name)) and not INNER.search(name.partition(".")[2])

    if given.reference:
        theirs = {k: v for k, v in json.loads(given.reference.read_text())["reference"].items() if wanted(k)}
    else:
        theirs = outcomes(test_classes(modules, transformers), wanted).pairs
    counted = {name for name, outcome in theirs.items() if outcome == "passed"}
    with imports_of(sightline, modules):
        ours = outcomes(test_classes(modules, sightline), lambda name: name in counted)
    by_class: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    known: dict[str, list[str]] = defaultdict(list)
    for name in sorted(counted):
        kind = name.partition(".")[0]
        by_class[kind] += 1
        passed[kind] += ours.pairs.get(name) == "passed"
        if ours.pairs.get(name) != "passed":
            if reason := next((reason for pattern, reason in KNOWN.items() if re.search(pattern, name)), None):
                known[reason].append(name)
                continue
            print(f"{name}: {ours.pairs.get(name, 'no such test')}")
            if given.verbose:
                print(ours.traces.get(name, ""))
    for reason, names in known.items():
        print(f"known, {len(names)} ({names[0]} ...): {reason}")
    for kind, number in by_class.items():
        print(f"{kind:32} {passed[kind]:4} of {number:4}")
    print(
        f"{passed.total()} of {by_class.total()} ({passed.total() / max(1, by_class.total()):.1%}); "
        f"the reference passes these of {len(theirs)}, skips {sum(v == 'skipped' for v in theirs.values())}"
    )
    if given.json:
        given.json.write_text(json.dumps({"reference": theirs, "sightline": ours.pairs}, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
