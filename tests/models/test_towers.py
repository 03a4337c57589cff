"""A tower's state before its projection, and the families' answers about themselves."""

from pathlib import Path

import pytest
import torch

from sightline.checkpoint.hub import resolve
from sightline.models import FAMILIES, family_of
from sightline.models.families import from_towers, packaged_with_regions
from support.models import PACKAGED


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each family: the packaged models, and a pair of two of their towers."""
    folder = tmp_path_factory.mktemp("pair")
    model, processor = from_towers("mini", "mini")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return {family: resolve(name) for family, name in PACKAGED.items()} | {"vision-text-dual-encoder": folder}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_projection_maps_a_tower_s_state_to_its_embedding(checkpoints: dict[str, Path], family: str) -> None:
    folder = checkpoints[family]
    towers = family_of(folder).text, family_of(folder).image
    config = family_of(folder).config.from_folder(folder)
    size, end = config.vision_config.image_size, config.text_config.eos_token_id
    ids = torch.tensor([[1, 5, 7, end if isinstance(end, int) else 2]] * 2)
    for tower in (kind.for_encoding(folder, torch.float32) for kind in towers):
        frames = (config.frames,) if config.takes_videos else ()
        inputs = (ids, torch.ones_like(ids)) if type(tower) is towers[0] else (torch.rand(2, *frames, 3, size, size),)
        with torch.inference_mode():
            embedding, state = tower.embed(*inputs), tower.embed(*inputs, project=False)
            assert embedding.shape == (2, config.projection_dim)
            assert state.shape == (2, tower.state_dim)
            if tower.head is None:
                assert torch.equal(state, embedding)
            else:
                assert torch.equal(tower.get_submodule(tower.head)(state), embedding)


def test_only_a_video_tower_and_align_s_image_tower_have_no_projection() -> None:
    heads = {name: (family.text.head, family.image.head) for name, family in FAMILIES.items()}
    assert {name for name, (_, image) in heads.items() if image is None} == {"align", "xclip"}
    assert all(text == "text_projection" for text, _ in heads.values())


def test_regions_and_rows_for_rescoring_are_the_config_s(checkpoints: dict[str, Path]) -> None:
    for name, folder in checkpoints.items():
        family = FAMILIES[name]
        config = family.config.from_folder(folder)
        assert (config.regions is not None) == family.has_regions == (name == "groupvit")
        assert (config.rescoring_rows > 0) == family.is_rescored == (name == "xclip")
    assert packaged_with_regions() == "mini-groupvit"


def test_processors_say_how_many_frames_they_take(checkpoints: dict[str, Path]) -> None:
    for name, folder in checkpoints.items():
        images = FAMILIES[name].processor.from_pretrained(folder).image_processor
        config = FAMILIES[name].config.from_folder(folder)
        assert images.takes_videos == (name == "xclip")
        assert images.num_frames == (config.vision_config.num_frames if name == "xclip" else 1)
