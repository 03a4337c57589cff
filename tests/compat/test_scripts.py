"""Whole scripts that were written for `transformers`, run in both libraries, and the classes that they know by name.

The scripts are in `scripts/`, as written but for their comments; what a script leaves undefined is given, and a line at
its end calls what it defines."""

import asyncio
import inspect
import re
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import pytest
import torch
import transformers

import sightline
from support.both import run, verdict
from support.uses import IMAGES, always, given

pytestmark = pytest.mark.parity

SCRIPTS = {
    path.stem: path.read_text(encoding="utf-8") for path in sorted((Path(__file__).parent / "scripts").glob("*"))
}
# What calls a script's definitions, and what it then shows.
DRIVERS = {
    "00_clip": "inputs, logits_per_image, probs",
    "01_align": "inputs, image_features, text_features",
    "02_groupvit": "inputs, segmentation_logits, similarity_scores",
    "03_contrastive_loss": "custom_contrastive_loss(torch.arange(9.0).reshape(3, 3))",
    "04_batch_retrieval": "batch_image_text_retrieval(model, processor, images, texts, batch_size=1)",
    # Products in float16: a rounding the other way is seen in the fourth digit.
    "05_quantized": "model.is_quantized, (10 * model(**inputs).logits_per_image.softmax(-1)).round()",
    "06_dynamic_batching": "[b['token_count'] for b in dynamic_batching(images * 2, texts * 2, max_tokens=10)]",
    "07_hardware": "model.to(device)(**inputs).logits_per_image",
    "08_temperatures": "temperature_sensitivity_analysis(model, [inputs])",
    "09_projections": "projection_dimension_analysis(model, [inputs])",
    "10_compression": "pruned_model(**inputs).logits_per_image, type(quantized_model)",
    "11_service": "asyncio.run(MultimodalRetrievalService().retrieve('cat.jpg', texts, top_k=2))",
    "12_out_of_memory": "model(**inputs, return_loss=True).loss",
    "13_diagnosis": "diagnose_model_performance",
    "14_failed_loading": "model(**inputs).logits_per_image",
    "15_preprocess_text": "processor(text=texts, padding=True)",
    "16_profiler": "ModelProfiler(model)",
}


def load_image(library):
    return transformers.image_utils.load_image if library is transformers else library.load_image


def load_image_async(library):
    async def opened(path):
        return transformers.image_utils.load_image(path)

    return opened if library is transformers else library.load_image_async


def evaluate_top1_accuracy(_):
    """The probability of the right text, which shows more of the scale than a share of right answers would."""

    def measured(model, loader):
        with torch.no_grad():
            found = [model(**batch).logits_per_image.softmax(-1).diagonal().mean() for batch in loader]
        return torch.stack(found).mean().item()

    return measured


def helpers():
    plain = {"asyncio": asyncio, "raw_texts": ["A cat's toy!", "Two dogs, one ball"]}
    plain |= {"re": re, "MISSING": "/no/such/folder"}
    makers = {name: always(value) for name, value in plain.items()}
    for helper in (load_image, load_image_async, evaluate_top1_accuracy):
        makers[helper.__name__] = helper
    return makers | {"evaluate_model_performance": evaluate_top1_accuracy}


@pytest.fixture(scope="module")
def script(checkpoints, tmp_path_factory):
    """A script with this machine's checkpoints and pictures, and the names that it is given."""
    folder = tmp_path_factory.mktemp("scripts")
    names = given(checkpoints, folder) | helpers()
    paths = {
        "openai/clip-vit-base-patch32": checkpoints["clip"],
        "./models/clip-vit-base-patch32": checkpoints["clip"],
        "kakaobrain/align-base": checkpoints["align"],
        "nvidia/groupvit-gcc-yfcc": checkpoints["groupvit"],
    }
    for number, picture in enumerate(("cat.jpg", "dog.jpg", "complex_scene.jpg")):
        IMAGES[number % 2].save(folder / picture)
        paths[picture] = folder / picture

    def made(name, change=lambda code: code):
        code = change(SCRIPTS[name])
        driver = DRIVERS[name]
        for written, path in paths.items():
            code = code.replace(f'"{written}"', repr(str(path)))
            driver = driver.replace(f"'{written}'", repr(str(path)))
        return f"{code}\n{driver}", names

    return made


def test_each_script_has_a_line_that_calls_it():
    assert SCRIPTS.keys() == DRIVERS.keys()


# The reference needs its package for this attention; ours says that it falls back.
ONLY_OURS = {"07_hardware"}


@pytest.mark.filterwarnings("ignore:CUDA is not available", "ignore:.torch.cuda.amp.autocast")
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_gives_the_same(name, script):
    code, names = script(name)
    # The reference has no such function; ours prunes its models, too.
    theirs_code = code.replace("from transformers import prune_model", "from sightline import prune_model")
    ours, theirs = run(code, sightline, names), run(theirs_code, transformers, names)
    assert ours.error is None
    if name in ONLY_OURS:
        code = code.replace("flash_attention_2", "sdpa")
        theirs = run(code, transformers, names)
    assert theirs.error is None
    assert verdict(ours, theirs) is None


def test_a_script_goes_on_from_a_local_folder_when_loading_failed(script):
    def without_network(code):
        code = code.replace('"openai/clip-vit-base-patch32"', "MISSING")
        return code.replace("from huggingface_hub import snapshot_download", "snapshot_download = lambda *a, **k: None")

    code, names = script("14_failed_loading", without_network)
    ours, theirs = run(code, sightline, names), run(code, transformers, names)
    assert ours.error is None
    assert verdict(ours, theirs) is None


def test_the_dynamic_batches_that_are_documented_lose_nothing():
    page = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
    (code,) = (part for part in page.read_text("utf-8").split("```python\n")[1:] if "def dynamic_batches" in part)
    space = {}
    exec(code.split("```")[0], space)
    texts = ["a " * n for n in (3, 4, 9, 2, 2, 2, 5)]
    batches = space["dynamic_batches"](range(7), texts, max_tokens=8)
    assert [text for batch in batches for text in batch["texts"]] == texts
    assert [image for batch in batches for image in batch["images"]] == list(range(7))
    assert [batch["token_count"] for batch in batches] == [7, 9, 6, 5]


def test_the_program_of_the_page_gives_the_same(script):
    page = (Path(__file__).parents[2] / "docs" / "from-transformers.md").read_text("utf-8")
    code = page.split("```python\n")[1].split("```")[0]  # the first one
    made, names = script("00_clip", lambda _: code)
    made = made.replace("inputs, logits_per_image, probs", "inputs, probabilities").replace(", load_image\n", "\n")
    made = made.replace("from sightline", "from transformers")
    ours, theirs = run(made, sightline, names), run(made, transformers, names)
    assert theirs.error is None
    assert verdict(ours, theirs) is None


# The class: where one is in a model, by the reference's path; its members; the arguments of `forward`.
CLASSES = {
    "CLIPTextTransformer": (
        "clip: text_model",
        "embeddings encoder final_layer_norm eos_token_id",
        "input_ids attention_mask",
    ),
    "CLIPTextEmbeddings": (
        "clip: text_model.embeddings",
        "token_embedding position_embedding position_ids",
        "input_ids position_ids inputs_embeds",
    ),
    "CLIPEncoder": (
        "clip: text_model.encoder",
        "config layers gradient_checkpointing",
        "inputs_embeds attention_mask",
    ),
    "CLIPVisionTransformer": (
        "clip: vision_model",
        "config embeddings pre_layrnorm encoder post_layernorm",
        "pixel_values interpolate_pos_encoding",
    ),
    "CLIPVisionEmbeddings": (
        "clip: vision_model.embeddings",
        "config embed_dim image_size patch_size class_embedding patch_embedding position_embedding",
        "pixel_values interpolate_pos_encoding",
    ),
    "AlignVisionEncoder": (
        "align: vision_model.encoder",
        "depth_coefficient blocks",
        "hidden_states output_hidden_states return_dict",
    ),
    "AlignVisionBlock": (
        "align: vision_model.encoder.blocks.1",
        "expand_ratio expand expansion depthwise_conv squeeze_excite projection",
        "hidden_states",
    ),
    "AlignVisionExpansionLayer": ("align: vision_model.encoder.blocks.1.expansion", "", ""),
    "AlignVisionDepthwiseLayer": ("align: vision_model.encoder.blocks.1.depthwise_conv", "", ""),
    "AlignVisionSqueezeExciteLayer": ("align: vision_model.encoder.blocks.1.squeeze_excite", "", ""),
    "AlignVisionFinalBlockLayer": ("align: vision_model.encoder.blocks.1.projection", "", ""),
    "AlignVisionDepthwiseConv2d": (
        "align: vision_model.encoder.blocks.1.depthwise_conv.depthwise_conv",
        "in_channels kernel_size stride",
        "",
    ),
    "AlignTextEncoder": (
        "align: text_model.encoder",
        "config layer gradient_checkpointing",
        "hidden_states attention_mask output_attentions output_hidden_states return_dict",
    ),
    "AlignTextLayer": (
        "align: text_model.encoder.layer.0",
        "chunk_size_feed_forward seq_len_dim attention intermediate output",
        "hidden_states attention_mask output_attentions",
    ),
    "AlignTextAttention": ("align: text_model.encoder.layer.0.attention", "", ""),
    "AlignTextIntermediate": ("align: text_model.encoder.layer.0.intermediate", "", ""),
    "AlignTextOutput": ("align: text_model.encoder.layer.0.output", "", ""),
    "GroupViTVisionEncoder": (
        "groupvit: vision_model.encoder",
        "config stages",
        "hidden_states output_attentions output_hidden_states return_dict",
    ),
    "GroupViTStage": (
        "groupvit: vision_model.encoder.stages.0",
        "depth num_group_token group_token layers downsample",
        "hidden_states prev_group_token output_attentions",
    ),
    "GroupViTTokenAssign": (
        "groupvit: vision_model.encoder.stages.0.downsample",
        "num_output_group norm_tokens mlp_inter pre_assign_attn assign",
        "image_tokens group_tokens",
    ),
    "GroupViTAssignAttention": (
        "groupvit: vision_model.encoder.stages.0.downsample.assign",
        "scale q_proj k_proj v_proj get_attn",
        "query key",
    ),
    "GroupViTMixerMLP": ("groupvit: vision_model.encoder.stages.0.downsample.mlp_inter", "", ""),
    "GroupViTCrossAttentionLayer": ("groupvit: vision_model.encoder.stages.0.downsample.pre_assign_attn", "", ""),
    "XCLIPMultiframeIntegrationTransformer": ("x_clip: mit", "position_embedding encoder", "hidden_states"),
    "XCLIPVisionEncoderLayer": (
        "x_clip: vision_model.encoder.layers.0",
        "num_frames message_fc message_ln message_attn self_attn",
        "hidden_states",
    ),
    "XCLIPEncoder": ("x_clip: mit.encoder", "config layers gradient_checkpointing", "inputs_embeds attention_mask"),
    "XCLIPAttention": ("x_clip: vision_model.encoder.layers.0.self_attn", "", ""),
}
OUTPUTS = (
    "BaseModelOutput",
    "BaseModelOutputWithPooling",
    "BaseModelOutputWithNoAttention",
    "BaseModelOutputWithPoolingAndNoAttention",
)


def class_of(name, module):
    """By its name in the package, or in the module that documents name."""
    return getattr(sightline, name, None) or getattr(import_module(module), name)


@pytest.fixture(scope="module")
def models(checkpoints):
    kinds = {"clip": "CLIPModel", "align": "AlignModel", "groupvit": "GroupViTModel", "x_clip": "XCLIPModel"}
    return {
        family: getattr(sightline, kind).from_pretrained(checkpoints[family.replace("_", "")])
        for family, kind in kinds.items()
    }


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_that_documents_name_is_there_with_its_members(name, models):
    place, members, arguments = CLASSES[name]
    family, path = place.split(": ")
    kind = class_of(name, f"sightline.models.{family}.modeling_{family}")
    part = attrgetter(path)(models[family])
    assert isinstance(part, kind)
    assert [member for member in members.split() if not hasattr(part, member)] == []
    taken = inspect.signature(type(part).forward).parameters
    assert [argument for argument in arguments.split() if argument not in taken] == []


def test_the_assignment_takes_its_arguments(models):
    assign = models["groupvit"].vision_model.encoder.stages[0].downsample.assign
    assert list(inspect.signature(assign.get_attn).parameters)[:3] == ["attn", "gumbel", "hard"]


def test_a_depthwise_convolution_has_its_multiplier(models):
    assert (
        "depth_multiplier"
        in inspect.signature(class_of("AlignVisionDepthwiseConv2d", "sightline.models.align.modeling_align")).parameters
    )


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_that_documents_name_is_there(name):
    assert class_of(name, "sightline.modeling_outputs")


def test_the_pooled_text_is_second(models):
    """The documents' `CLIPTextTransformer` gives the pooled output beside the last hidden state."""
    ids = torch.tensor([[834, 5, 835]])
    found = models["clip"].text_model(ids)
    assert torch.equal(found[1], found.pooler_output)
