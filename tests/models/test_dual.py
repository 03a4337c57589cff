"""Two towers of one's choice beyond parity: where towers come from, the encoder, what is refused."""

import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

import sightline
from sightline import (
    BertModel,
    CLIPModel,
    RobertaModel,
    VisionTextDualEncoderConfig,
    VisionTextDualEncoderModel,
    VisionTextDualEncoderProcessor,
    scenes,
)
from sightline.errors import CheckpointError, UsageError
from sightline.models.pairs import PairEmbeddings
from support.processors import agree
from support.weights import randomise

SHAPE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
SHAPE |= {"max_position_embeddings": 40, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
TEXTS = ["a photo of a red cat", "two dogs", "a"]


def save(model, folder):
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def roberta(byte_pairs, tmp_path_factory):
    """A RoBERTa as it was trained: with the head for masked words, and without a pooler."""
    folder = tmp_path_factory.mktemp("roberta")
    tokenizer = transformers.RobertaTokenizer.from_pretrained(byte_pairs)
    config = transformers.RobertaConfig(**SHAPE, vocab_size=len(tokenizer))
    save(randomise(transformers.RobertaForMaskedLM(config), 1), folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bert(word_pieces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    tokenizer = transformers.BertTokenizer.from_pretrained(word_pieces)
    save(randomise(transformers.BertModel(transformers.BertConfig(**SHAPE, vocab_size=len(tokenizer))), 2), folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["roberta", "bert"])
def pair(request, tmp_path_factory):
    """The mini's picture tower with a text tower, saved with its processor."""
    folder, text = tmp_path_factory.mktemp("pair"), request.getfixturevalue(request.param)
    torch.manual_seed(0)
    VisionTextDualEncoderModel.from_towers(image="mini", text=text, projection_dim=24).save_pretrained(folder)
    VisionTextDualEncoderProcessor.from_towers(image="mini", text=text).save_pretrained(folder)
    return folder


def test_towers_come_as_they_were_and_heads_are_new(roberta):
    torch.manual_seed(0)
    model = VisionTextDualEncoderModel.from_towers(image="mini", text=roberta, projection_dim=24)
    clip = CLIPModel.from_pretrained("mini", dtype="float32")
    for name, tensor in model.vision_model.state_dict().items():
        assert torch.equal(tensor, clip.vision_model.state_dict()[name])
    whole = transformers.RobertaModel.from_pretrained(roberta, add_pooling_layer=False)
    ids = torch.tensor([[0, 20, 30, 2, 1], [0, 40, 50, 60, 2]])
    mask = (ids != 1).long()
    torch.testing.assert_close(
        model.text_model(ids, mask).last_hidden_state, whole(ids, mask).last_hidden_state, rtol=1e-4, atol=1e-5
    )
    assert model.visual_projection.weight.shape == (24, clip.config.vision_config.hidden_size)
    assert model.text_projection.weight.shape == (24, 32)
    assert model.text_model.pooler.dense.weight.std().item() == pytest.approx(0.02, rel=0.2)
    again = VisionTextDualEncoderModel.from_vision_text_pretrained("mini", roberta, projection_dim=24)
    assert again.config == model.config
    assert not model.training
    assert model.dtype == torch.float32
    assert model.scale.item() == pytest.approx(np.exp(2.6592))


@pytest.mark.parametrize("head", ["bert.", "roberta.", ""])
@pytest.mark.parametrize("names", [("weight", "bias"), ("gamma", "beta")], ids=["new", "old"])
@pytest.mark.parametrize("pooler", [True, False])
def test_berts_out_of_all_that_they_were_trained_in(bert, tmp_path, head, names, pooler):
    """Prefixes, the norms' old names, heads beside the tower, a pooler or none, positions as numbers."""
    state = load_file(bert / "model.safetensors")
    renamed = {"cls.predictions.bias": torch.zeros(3)} if head else {}
    for name, tensor in state.items():
        scale, shift = names
        new = name.replace("LayerNorm.weight", f"LayerNorm.{scale}").replace("LayerNorm.bias", f"LayerNorm.{shift}")
        if pooler or "pooler" not in name:
            renamed[head + new] = tensor
    renamed[f"{head}embeddings.position_ids"] = torch.arange(40)[None]
    save_file(renamed, tmp_path / "model.safetensors")
    shutil.copy(bert / "config.json", tmp_path)
    expected, found = BertModel.from_pretrained(bert).state_dict(), BertModel.from_pretrained(tmp_path).state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor) or (not pooler and "pooler" in name), name
    del renamed[f"{head}embeddings.word_embeddings.weight"]
    save_file(renamed, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"missing embeddings\.word_embeddings\.weight"):
        BertModel.from_pretrained(tmp_path)


def test_text_towers_alone_go_both_ways(bert, roberta, tmp_path):
    for ours, theirs, folder in ((BertModel, "BertModel", bert), (RobertaModel, "RobertaModel", roberta)):
        torch.manual_seed(0)
        mine = ours.from_pretrained(folder)
        mine.save_pretrained(tmp_path / theirs)
        reference = getattr(transformers, theirs).from_pretrained(tmp_path / theirs).eval()
        ids = torch.tensor([[5, 9, 30, 2, 1]])
        torch.testing.assert_close(mine(ids).pooler_output, reference(ids).pooler_output, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["clip", "roberta"])
def test_files_from_before_release_5_with_a_towers_name_twice(roberta, tmp_path, kind):
    text = "mini" if kind == "clip" else roberta
    model = VisionTextDualEncoderModel.from_towers("mini", text, projection_dim=8)
    model.save_pretrained(tmp_path)
    doubled = ("vision_model.", "text_model.") if kind == "clip" else ("vision_model.",)
    state = load_file(tmp_path / "model.safetensors")
    renamed = {
        (name.split(".")[0] + "." + name if name.startswith(doubled) else name): tensor
        for name, tensor in state.items()
    }
    assert renamed.keys() != state.keys()
    save_file(renamed, tmp_path / "model.safetensors")
    again = VisionTextDualEncoderModel.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in model.state_dict().items())


def test_it_encodes_and_its_processor_is_the_references(pair):
    reference = transformers.VisionTextDualEncoderModel.from_pretrained(pair).eval()
    theirs = transformers.VisionTextDualEncoderProcessor.from_pretrained(pair)
    ours = VisionTextDualEncoderProcessor.from_pretrained(pair)
    pictures = [scenes.sample(seed).draw(64) for seed in range(3)]
    inputs = {"text": TEXTS, "images": pictures, "padding": True, "return_tensors": "pt"}
    expected, found = theirs(**inputs), ours(**inputs)
    agree(found, expected)
    encoder = sightline.load(pair, precision="float32")
    with torch.no_grad():
        out = reference(**expected)
    np.testing.assert_allclose(encoder.encode_text(TEXTS), out.text_embeds.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(encoder.encode_images(pictures), out.image_embeds.numpy(), rtol=1e-4, atol=1e-5)
    long = encoder.encode_text(["a red cat " * 100])  # cut to the model's places
    assert encoder.tokenizer.max_length == (38 if "roberta" in (pair / "config.json").read_text() else 40)
    assert np.isfinite(long).all()
    assert encoder.dim == 24


def test_files_of_the_references_processor(roberta, bert, tmp_path):
    """What `transformers` saves, ours opens, and the other way round."""
    images = transformers.CLIPImageProcessor.from_pretrained(sightline.checkpoint.hub.PACKAGED / "mini")
    for text in (roberta, bert):
        folder = tmp_path / text.name
        tokenizer = transformers.AutoTokenizer.from_pretrained(text)
        theirs = transformers.VisionTextDualEncoderProcessor(images, tokenizer)
        theirs.save_pretrained(folder)
        if text is roberta:  # which names no limit
            shutil.copy(text / "config.json", folder)
        ours = VisionTextDualEncoderProcessor.from_pretrained(folder)
        inputs = {"text": TEXTS, "images": Image.new("RGB", (70, 50)), "padding": True, "return_tensors": "pt"}
        agree(ours(**inputs), theirs(**inputs))


def test_halves_in_parts_meet_as_in_forward(pair):
    model = randomise(VisionTextDualEncoderModel.from_pretrained(pair), 5).double().eval()
    encoder = sightline.load(pair)
    ids, mask = (torch.from_numpy(array) for array in encoder.tokenizer.pad(encoder.tokens(TEXTS)))
    pixels = torch.randn(3, 3, 64, 64, dtype=torch.float64)
    out = model(ids, pixels, mask, return_loss=True)
    parts = [model.encode(pixels[a:b], ids[a:b], mask[a:b]) for a, b in ((0, 1), (1, 3))]
    similarities = model.match(
        PairEmbeddings(
            tuple(map(torch.cat, zip(*(part.images for part in parts), strict=True))),
            tuple(map(torch.cat, zip(*(part.texts for part in parts), strict=True))),
        )
    )
    torch.testing.assert_close(similarities.logits_per_image, out.logits_per_image, rtol=1e-9, atol=1e-9)
    assert model.loss(similarities).item() == pytest.approx(out.loss.item())
    model.clamp_logit_scale(1.1)
    assert model.scale.item() == pytest.approx(1.1)


def test_what_cannot_be_paired_is_named(bert, tmp_path):
    with pytest.raises(CheckpointError, match=r"'bert' has no vision_model that can be opened; only clip_vision_model"):
        VisionTextDualEncoderModel.from_towers(image=bert, text=bert)
    with pytest.raises(
        CheckpointError, match=r"'align' has no text_model that can be opened; only bert, roberta, clip"
    ):
        VisionTextDualEncoderModel.from_towers(image="mini", text="mini-align")
    for part, kind in (("vision_config", "vit"), ("text_config", "gpt2"), ("text_config", "clip_vision_model")):
        with pytest.raises(CheckpointError, match=rf"{part} is of the kind '{kind}', which cannot be opened; only "):
            VisionTextDualEncoderConfig.from_dict({part: {"model_type": kind}})
    with pytest.raises(CheckpointError, match="is_decoder"):
        VisionTextDualEncoderConfig(text_config={"model_type": "bert", "is_decoder": True})
    with pytest.raises(CheckpointError, match="no place after the 8 of padding"):
        VisionTextDualEncoderConfig(
            text_config={"model_type": "roberta", "max_position_embeddings": 8, "pad_token_id": 7}
        )
    with pytest.raises(CheckpointError, match="pad_token_id is None"):
        VisionTextDualEncoderConfig(text_config={"model_type": "roberta", "pad_token_id": None})


def test_texts_beyond_the_places_and_calls_with_half_the_inputs(pair):
    model = VisionTextDualEncoderModel.from_pretrained(pair)
    most = sightline.load(pair).tokenizer.max_length
    with pytest.raises(UsageError, match=f"{most + 1} tokens, but the model has {most} positions"):
        model.get_text_features(torch.full((1, most + 1), 5))
    assert model.get_text_features(torch.full((1, most), 5)).pooler_output.isfinite().all()
    with pytest.raises(UsageError, match="get_text_features"):
        model(torch.full((1, 3), 5))


def test_defaults_are_the_references():
    for ours, reference in (
        (sightline.BertConfig(), transformers.BertConfig()),
        (sightline.RobertaConfig(), transformers.RobertaConfig()),
    ):
        for key, value in ours.to_dict().items():
            assert getattr(reference, key) == value, key
    ours, theirs = VisionTextDualEncoderConfig(), transformers.VisionTextDualEncoderConfig()
    assert (ours.projection_dim, ours.logit_scale_init_value) == (theirs.projection_dim, theirs.logit_scale_init_value)


def test_a_config_of_release_4_is_read(bert):
    text = json.loads((bert / "config.json").read_text())
    old = {"position_embedding_type": "absolute", "directionality": "bidi", "pooler_type": "first_token_transform"}
    config = VisionTextDualEncoderConfig.from_dict(
        {"text_config": text | old, "vision_config": {"model_type": "clip_vision_model"}, "projection_dim": 3}
    )
    assert config.text_config.hidden_size == 32
    assert config.vision_config == sightline.models.TOWERS["clip_vision_model"].config()


def test_one_command_pairs_and_trains_them(roberta, tmp_path):
    from sightline.train import Recipe, train

    rows = ["file,caption"]
    for i in range(6):
        scenes.sample(2, i).draw(64).save(tmp_path / f"{i}.png")
        rows.append(f'{i}.png,"{scenes.sample(2, i).caption}"')
    (tmp_path / "captions.csv").write_text("\n".join(rows))
    recipe = Recipe(
        model="mini", text_model=roberta, data=str(tmp_path / "captions.csv"), steps=2, batch_size=3, freeze=("image",)
    )
    outcome = train(recipe, tmp_path / "run")
    assert f"the text tower of `{roberta}`" in (outcome.path / "README.md").read_text()
    trained, clip = VisionTextDualEncoderModel.from_pretrained(outcome.path), CLIPModel.from_pretrained("mini")
    for name, tensor in clip.float().vision_model.state_dict().items():
        assert torch.equal(trained.vision_model.state_dict()[name], tensor)
    old = RobertaModel.from_pretrained(roberta)
    assert not torch.equal(trained.text_model.embeddings.word_embeddings.weight, old.embeddings.word_embeddings.weight)
    reference = transformers.VisionTextDualEncoderModel.from_pretrained(outcome.path).eval()
    inputs = transformers.VisionTextDualEncoderProcessor.from_pretrained(outcome.path)(
        text=TEXTS, padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        features = torch.nn.functional.normalize(reference.get_text_features(**inputs).pooler_output, dim=-1)
    encoder = sightline.load(outcome.path, precision="float32")
    np.testing.assert_allclose(encoder.encode_text(TEXTS), features.numpy(), rtol=1e-3, atol=1e-5)
    with pytest.raises(UsageError, match="text_model has no meaning"):
        Recipe(model=lambda: None, text_model=roberta, data="x", steps=1)
