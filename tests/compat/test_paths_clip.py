"""CLIP's and X-CLIP's modules by the reference's paths: the same tensors, and hooks that see the same numbers."""

import importlib

import peft
import pytest
import torch
import transformers
from transformers.models.clip import modeling_clip
from transformers.models.x_clip import modeling_x_clip

import sightline
from sightline.errors import UsageError
from support.configs import clip, xclip
from support.parity import close
from support.weights import randomise

CLIP, XCLIP = clip.random_config(4), xclip.random_config(8)
WHOLE = {"CLIPModel": CLIP, "XCLIPModel": XCLIP}
CONFIGS = WHOLE | {
    "CLIPTextModel": CLIP.text_config,
    "CLIPTextModelWithProjection": CLIP.text_config,
    "CLIPVisionModel": CLIP.vision_config,
    "CLIPVisionModelWithProjection": CLIP.vision_config,
    "XCLIPTextModel": XCLIP.text_config,
    "XCLIPVisionModel": XCLIP.vision_config,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return {}, tmp_path_factory.mktemp("models")


@pytest.fixture
def both(request, files):
    """The reference's model and ours of the same weights; the files are written once."""
    written, folder = files
    name = request.param
    if name not in written:
        written[name] = folder / name
        randomise(getattr(transformers, name)(CONFIGS[name]), 1).save_pretrained(written[name])
    opened = [getattr(library, name).from_pretrained(written[name]) for library in (transformers, sightline)]
    return [model.eval() for model in opened]


every_class = pytest.mark.parametrize("both", CONFIGS, indirect=True)
whole = pytest.mark.parametrize("both", WHOLE, indirect=True)


def inputs(name):
    generator = torch.Generator().manual_seed(2)
    if name.startswith("XCLIP"):
        found = xclip.random_inputs(XCLIP, 2)
        if name == "XCLIPVisionModel":
            found["pixel_values"] = found["pixel_values"].flatten(0, 1)
    else:
        vision = CLIP.vision_config
        shape = (4, vision.num_channels, vision.image_size, vision.image_size)
        found = clip.tokens(CLIP, 0, generator) | {"pixel_values": torch.randn(*shape, generator=generator)}
    keys = ["pixel_values"] if "Vision" in name else ["input_ids", "attention_mask"] if "Text" in name else found
    return {key: found[key] for key in keys}


def tensors(output):
    """Of what a hook got: a tensor, a tuple, or an output of several fields."""
    if isinstance(output, torch.Tensor):
        return [output]
    values = output.values() if hasattr(output, "values") else output
    return [tensor for value in values if value is not None for tensor in tensors(value)]


def seen(model, paths, call):
    """What hooks at these paths see, in the order of calls."""
    found = {path: [] for path in paths}
    handles = [
        model.get_submodule(path).register_forward_hook(lambda _, __, output, path=path: found[path].append(output))
        for path in paths
    ]
    with torch.no_grad():
        call(model)
    for handle in handles:
        handle.remove()
    return found


@every_class
def test_every_path_of_the_reference_is_there(both):
    theirs, ours = both
    for path, module in theirs.named_modules():
        found = ours.get_submodule(path)
        for name in ("in_features", "out_features", "num_heads", "head_dim", "scale", "embed_dim", "normalized_shape"):
            if hasattr(module, name):
                assert getattr(found, name) == getattr(module, name), (path, name)
    for path, parameter in theirs.named_parameters():
        assert torch.equal(ours.get_parameter(path), parameter), path
    for path, buffer in theirs.named_buffers():
        parent, _, name = path.rpartition(".")
        assert torch.equal(getattr(ours.get_submodule(parent), name), buffer), path


@every_class
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_hooks_see_what_they_see_in_the_reference(both, implementation):
    paths = [path for path, _ in both[0].named_modules()]
    given, results = inputs(type(both[0]).__name__), []
    for model in both:
        model.set_attn_implementation(implementation)
        results.append(seen(model, paths, lambda model: model(**given)))
    _same(*results)


@whole
@pytest.mark.parametrize("side", ["image", "text"])
def test_hooks_see_the_same_in_features(both, side):
    paths = [path for path, _ in both[0].named_modules()]
    given, results = inputs(type(both[0]).__name__), []
    for model in both:
        if side == "text":
            results.append(
                seen(model, paths, lambda model: model.get_text_features(given["input_ids"], given["attention_mask"]))
            )
        else:
            get = model.get_image_features if hasattr(model, "get_image_features") else model.get_video_features
            results.append(seen(model, paths, lambda _, get=get: get(given["pixel_values"])))
    _same(*results)


def _same(theirs, ours):
    for path, outputs in theirs.items():
        assert len(ours[path]) == len(outputs), path
        for a, b in zip(ours[path], outputs, strict=True):
            assert isinstance(a, tuple) == isinstance(b, tuple), path
            # By "eager" the reference's transformer over frames goes on without weights: its config is a copy.
            for x, y in zip(tensors(a), tensors(b), strict=not path.startswith("mit.")):
                close(x, y, floor=1e-6)


@whole
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("call", ["encode", "pool"])
def test_a_hook_anywhere_runs_where_less_is_computed(both, call, training):
    """In training's and an encoder's calls too, and what it returns counts."""
    theirs, model = both
    given = inputs(type(theirs).__name__)
    pixels, ids, mask = (given[name] for name in ("pixel_values", "input_ids", "attention_mask"))
    model.train(training)

    def called():
        torch.manual_seed(0)
        with torch.no_grad():
            if call == "pool":
                return torch.cat([model.vision_model.pool(pixels).flatten(), model.text_model.pool(ids).flatten()])
            found = model.encode(pixels, ids, mask)
            return torch.cat([tensor.flatten() for tensor in (*found.images, *found.texts)])

    plain = called()
    for path, module in theirs.named_modules():
        tower = path.startswith(("text_model", "vision_model"))
        if isinstance(module, torch.nn.ModuleList) or not path or path.startswith("prompts_generator"):
            continue  # which are not called
        if path.startswith("vision_model.encoder.layers.0.message_attn.") and path.endswith(("q_proj", "k_proj")):
            continue  # the first block's messages are alike, whatever they look for
        if call == "pool" and not tower:
            continue
        handle = model.get_submodule(path).register_forward_hook(lambda _, __, output: changed(output))
        assert not torch.equal(called(), plain), path
        handle.remove()
    assert torch.equal(called(), plain)


def changed(output):
    """Another value of the kind: neither a norm nor a softmax takes the change out again."""
    if isinstance(output, torch.Tensor):
        return (
            output * torch.linspace(1, 3, output.shape[-1])
            + torch.linspace(0, 1, output.shape[0])[(...,) + (None,) * (output.ndim - 1)]
        )
    if isinstance(output, tuple):
        return changed(output[0]), *output[1:]
    for name in ("last_hidden_state", "pooler_output"):
        if getattr(output, name, None) is not None:
            setattr(output, name, changed(getattr(output, name)))
    return output


@whole
def test_a_hook_on_the_prompts_runs_in_a_search(both):
    theirs, model = both
    if not hasattr(model, "prompts_generator"):
        return
    generator = model.prompts_generator
    width, (texts, patches) = generator.alpha.shape[0], (torch.randn(2, 32), torch.randn(3, 4, 32))
    texts, patches = texts[:, :width], patches[..., :width]
    with torch.no_grad():
        plain = generator.short(texts, patches)
        for path, module in theirs.prompts_generator.named_modules():
            if isinstance(module, torch.nn.ModuleList):
                continue
            handle = generator.get_submodule(path).register_forward_hook(lambda _, __, output: changed(output))
            assert not torch.allclose(generator.short(texts, patches), plain), path
            handle.remove()
        torch.testing.assert_close(generator.short(texts, patches), generator(texts, patches))


@whole
@pytest.mark.parametrize("where", ["pre", "backward", "everywhere"])
@pytest.mark.filterwarnings("ignore:Full backward hook is firing")  # for pixels, which have no gradient
def test_other_kinds_of_hooks_run(both, where):
    theirs, model = both
    given, count = inputs(type(theirs).__name__), {}
    paths = [
        path
        for path, module in theirs.named_modules()
        if not isinstance(module, torch.nn.ModuleList) and not path.endswith("proj_drop")
    ]
    if where == "backward":  # which torch has for modules that return tensors alone
        paths = [
            path
            for path in paths
            if path.rpartition(".")[2] not in ("", "text_model", "vision_model", "encoder", "mit")
        ]
    if where == "everywhere":
        handle = torch.nn.modules.module.register_module_forward_hook(
            lambda module, *_: count.update({id(module): count.get(id(module), 0) + 1})
        )
    for path in paths:
        module = model.get_submodule(path)
        if where == "pre":
            module.register_forward_pre_hook(lambda module, *_: count.update({id(module): 1}))
        if where == "backward":
            module.register_full_backward_hook(lambda module, *_: count.update({id(module): 1}))
    out = model(**given)
    (out.logits_per_text.square().sum() + out.text_model_output.last_hidden_state.sum()).backward()
    if where == "everywhere":
        handle.remove()
    unseen = [path for path in paths if id(model.get_submodule(path)) not in count]
    assert not unseen


def attentions():
    """Both libraries' attention of the same random weights."""
    config = CLIP.vision_config
    theirs = randomise(modeling_clip.CLIPAttention(config), 5)
    ours = importlib.import_module("sightline.models.clip.modeling_clip").CLIPAttention(config)
    for name, parameter in theirs.named_parameters():
        ours.get_parameter(name).data = parameter.data
    return theirs, ours


def test_parts_of_the_fused_map_are_views():
    theirs, ours = attentions()
    x = torch.randn(2, 5, CLIP.vision_config.hidden_size)
    close(ours(x)[0], theirs(x)[0])
    for name in ("q_proj", "k_proj", "v_proj"):
        part, reference = getattr(ours, name), getattr(theirs, name)
        close(part(x), reference(x))
        assert part.state_dict().keys() == reference.state_dict().keys()
        assert isinstance(part, torch.nn.Linear)
        assert repr(part).endswith(repr(reference).removeprefix("Linear"))
        assert [key for key, _ in part.named_parameters()] == [key for key, _ in reference.named_parameters()]
        for weight in (part.weight, reference.weight):
            with torch.no_grad():
                weight.mul_(0.5)
            weight.data.add_(0.1)
            weight.data[0] = 1
        part.bias = torch.nn.Parameter(torch.ones_like(part.bias))
        reference.bias = torch.nn.Parameter(torch.ones_like(reference.bias))
        torch.manual_seed(1)
        torch.nn.init.normal_(part.weight[1:2])
        torch.manual_seed(1)
        torch.nn.init.normal_(reference.weight[1:2])
    close(ours(x)[0], theirs(x)[0])
    ours.q_proj.load_state_dict(theirs.k_proj.state_dict())
    theirs.q_proj.load_state_dict(theirs.k_proj.state_dict())
    close(ours(x)[0], theirs(x)[0])


def test_gradients_of_the_parts():
    x = torch.randn(2, 5, CLIP.vision_config.hidden_size)
    gradients = []
    for attention in attentions():
        attention.k_proj.weight.register_hook(lambda gradient: 2 * gradient)
        attention(x)[0].square().sum().backward()
        found = [getattr(attention, f"{name}_proj").weight.grad.clone() for name in "qkv"]
        attention.v_proj.weight.grad.zero_()
        attention.q_proj.weight.grad = torch.ones_like(attention.q_proj.weight)
        found += [attention.q_proj.weight.grad, attention.v_proj.weight.grad]
        gradients.append(found)
    for a, b in zip(*gradients, strict=True):
        close(a, b)
    assert not attention.qkv.weight.grad[-1].any()


def test_another_module_in_a_part_s_place():
    x = torch.randn(2, 5, CLIP.vision_config.hidden_size)
    results = []
    for attention in attentions():
        torch.manual_seed(0)
        attention.v_proj = torch.nn.Sequential(attention.v_proj, torch.nn.Dropout(0.0), torch.nn.LayerNorm(x.shape[-1]))
        assert {"v_proj.2.weight", "v_proj.2.bias"} < dict(attention.named_parameters()).keys()
        results.append(attention(x)[0])
        if hasattr(attention, "qkv"):
            assert "v_proj.0.weight" not in attention.state_dict()  # it is in the whole map
            tokens = torch.tensor([1, 4])
            close(attention.at(x, tokens), results[-1][[0, 1], tokens])
            attention.v_proj = attention.v_proj[0]
            assert not attention.apart()
    close(*results)


def test_an_adapter_in_a_part_s_place():
    x = torch.randn(2, 5, CLIP.vision_config.hidden_size)
    results = []
    for attention in attentions():
        torch.manual_seed(0)
        lora = peft.LoraConfig(r=2, lora_alpha=4)
        attention.q_proj = peft.tuners.lora.Linear(attention.q_proj, "default", lora, r=2, lora_alpha=4)
        torch.nn.init.normal_(attention.q_proj.lora_B["default"].weight)
        results.append(attention(x)[0])
        attention.q_proj.merge()
        close(attention(x)[0], results[-1])
        attention.q_proj = attention.q_proj.get_base_layer()
        close(attention(x)[0], results[-1])
        assert not any("lora" in name for name, _ in attention.named_parameters())
    close(*results)


def test_what_a_part_cannot_do_is_said():
    _, attention = attentions()
    for module in (attention.q_proj, attention.q_proj.weight):
        with pytest.raises(UsageError, match=r"rows of one parameter.*use self_attn\.qkv\.requires_grad_"):
            module.requires_grad_(False)
    with pytest.raises(UsageError, match="rows of one parameter"):
        attention.k_proj.bias.requires_grad = False
    with pytest.raises(UsageError, match="a tensor of shape"):
        attention.q_proj.weight = torch.zeros(1)
    with pytest.raises(UsageError, match="assign a module instead"):
        attention.q_proj.bias = None
    with pytest.raises(UsageError, match=r"missing or unknown: \['bias'\]"):
        attention.q_proj.load_state_dict({"weight": attention.k_proj.weight})
    with pytest.raises(TypeError, match="cannot assign"):
        attention.q_proj = torch.zeros(1)
    with pytest.raises(ValueError, match="non-leaf"):
        torch.optim.SGD([attention.q_proj.weight])


MODULES = [
    (library, name, config)
    for library, config, names in (
        (modeling_clip, CLIP.text_config, "CLIPTextEmbeddings CLIPAttention CLIPMLP CLIPEncoderLayer CLIPEncoder"),
        (modeling_clip, CLIP.vision_config, "CLIPVisionEmbeddings CLIPEncoder"),
        (modeling_x_clip, XCLIP.text_config, "XCLIPTextEmbeddings XCLIPAttention XCLIPMLP XCLIPEncoderLayer"),
        (modeling_x_clip, XCLIP.vision_config, "XCLIPVisionEmbeddings XCLIPVisionEncoderLayer XCLIPVisionEncoder"),
        (modeling_x_clip, XCLIP.vision_config, "XCLIPEncoder XCLIPMultiframeIntegrationTransformer"),
        (modeling_x_clip, XCLIP, "XCLIPCrossAttention PromptGeneratorLayer XCLIPPromptGenerator"),
    )
    for name in names.split()
]


@pytest.mark.parametrize(("library", "name", "config"), MODULES)
def test_modules_made_from_a_config_compute_the_same(library, name, config):
    theirs = randomise(getattr(library, name)(config), 3).eval()
    kind = getattr(importlib.import_module(library.__name__.replace("transformers", "sightline")), name)
    ours = kind(config).eval()
    for path, parameter in theirs.named_parameters():
        ours.get_parameter(path).data = parameter.data
    arguments, options = _arguments(name, config)
    with torch.no_grad():
        results = [tensors(model(*arguments, **options)) for model in (ours, theirs)]
    for a, b in zip(*results, strict=name not in ("CLIPAttention", "XCLIPAttention")):  # they return their weights
        close(a, b)


def _arguments(name, config):
    torch.manual_seed(4)
    if name.endswith("TextEmbeddings"):
        return (), {
            "input_ids": torch.randint(0, config.vocab_size, (2, 5)),
            "position_ids": torch.tensor([[4, 3, 2, 1, 0]]),
        }
    if name.endswith("VisionEmbeddings"):
        size = config.image_size + config.patch_size
        return (torch.randn(2, config.num_channels, size, size),), {"interpolate_pos_encoding": True}
    if config is XCLIP:
        patches = torch.randn(3, 4, config.projection_dim)
        texts = torch.randn(3, 2, config.projection_dim)
        return (texts, patches, patches) if name == "XCLIPCrossAttention" else (texts, patches), {}
    if name == "XCLIPMultiframeIntegrationTransformer":
        return (), {"hidden_states": torch.randn(3, config.num_frames, config.hidden_size)}
    x = torch.randn(2 * getattr(config, "num_frames", 1), 5, config.hidden_size)
    if name.endswith("MLP"):
        return (x,), {}
    mask = torch.zeros(len(x), 1, 5, 5 + ("Vision" in name)).masked_fill(torch.rand(len(x), 1, 5, 1) > 0.7, -0.5)
    if "Vision" in name:
        mask = None
    if name.endswith("Encoder"):
        return (), {"inputs_embeds": x, "attention_mask": mask}
    return (x,), {"attention_mask": mask}


@pytest.mark.parametrize("family", ["clip", "x_clip"])
def test_names_in_the_reference_s_places(family):
    for kind in ("modeling", "configuration", "processing"):
        theirs = importlib.import_module(f"transformers.models.{family}.{kind}_{family}")
        ours = importlib.import_module(f"sightline.models.{family}.{kind}_{family}")
        made = {
            name
            for name, value in vars(theirs).items()
            if isinstance(value, type) and value.__module__ == theirs.__name__
        }
        assert made - {"CLIPForImageClassification"} <= set(dir(ours))


NAMES = {
    "clip": "CLIPTextTransformer CLIPTextEmbeddings CLIPEncoder CLIPVisionTransformer CLIPVisionEmbeddings",
    "x_clip": "XCLIPMultiframeIntegrationTransformer XCLIPVisionEncoderLayer XCLIPEncoder XCLIPAttention",
}


@pytest.mark.parametrize("family", NAMES)
def test_names_of_the_package(family):
    module = importlib.import_module(f"sightline.models.{family}.modeling_{family}")
    for name in NAMES[family].split():
        assert getattr(sightline, name) is getattr(module, name)


@whole
def test_parts_are_of_the_classes_that_the_names_say(both):
    theirs, ours = both
    family = "x_clip" if type(ours).__name__.startswith("X") else "clip"
    module = importlib.import_module(f"sightline.models.{family}.modeling_{family}")
    for path, part in theirs.named_modules():
        if kind := getattr(module, type(part).__name__, None):
            assert isinstance(ours.get_submodule(path), kind), path
    assert isinstance(ours.text_model, sightline.CLIPTextTransformer)
    assert isinstance(ours.vision_model, sightline.CLIPVisionTransformer)


@whole
def test_settings_of_the_parts(both):
    for model in both:
        assert model.vision_model.encoder.config.hidden_size == model.config.vision_config.hidden_size
        assert not model.text_model.encoder.gradient_checkpointing
        model.text_model.encoder.gradient_checkpointing = True
        model.vision_model.encoder.layers[0].mlp.activation_fn = torch.nn.Tanh()
        model.vision_model.embeddings.image_size += model.vision_model.embeddings.patch_size
    given = inputs(type(both[0]).__name__)
    with pytest.raises(ValueError, match="doesn't match"):
        both[0](**given)
    with pytest.raises(UsageError, match="the model was made for"):
        both[1](**given)
    results = []
    with torch.no_grad():
        for model in both:
            model.vision_model.embeddings.image_size -= model.vision_model.embeddings.patch_size
            results.append(model(**given))
            model.text_model.eos_token_id = 3  # which no text holds: the first token stands for each
            results[-1].text = model.get_text_features(given["input_ids"]).pooler_output
    close(results[1].logits_per_text, results[0].logits_per_text)
    close(results[1].text, results[0].text)
