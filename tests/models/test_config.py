"""Values of configs that other tools write in other forms."""

import pytest

import sightline
from sightline.errors import CheckpointError


@pytest.mark.parametrize(
    ("config", "name", "given", "read"),
    [
        (sightline.CLIPTextConfig, "eos_token_id", [49407], 49407),
        (sightline.CLIPTextConfig, "eos_token_id", [2, 2], 2),
        (sightline.GroupViTTextConfig, "bos_token_id", [49406], 49406),
        (sightline.BertConfig, "eos_token_id", [102], 102),
        (sightline.BertConfig, "pad_token_id", [0], 0),
        (sightline.CLIPVisionConfig, "image_size", [224, 224], 224),
        (sightline.CLIPVisionConfig, "patch_size", (32, 32), 32),
        (sightline.XCLIPVisionConfig, "image_size", [336, 336], 336),
        (sightline.AlignVisionConfig, "image_size", [600, 600], 600),
        (sightline.GroupViTVisionConfig, "image_size", [224], 224),
    ],
)
def test_a_list_with_one_meaning_is_read(config: type, name: str, given: object, read: int) -> None:
    found = config.from_dict({name: given})
    assert getattr(found, name) == read
    assert found == config(**{name: given})
    assert found.to_dict()[name] == read


@pytest.mark.parametrize(
    ("config", "name", "given"),
    [
        (sightline.CLIPTextConfig, "eos_token_id", [49407, 2]),
        (sightline.CLIPTextConfig, "eos_token_id", []),
        (sightline.CLIPVisionConfig, "image_size", [224, 336]),
        (sightline.CLIPVisionConfig, "hidden_size", [768]),
        (sightline.CLIPVisionConfig, "image_size", ["224", "224"]),
    ],
)
def test_a_list_with_several_is_refused_by_name(config: type, name: str, given: object) -> None:
    with pytest.raises(CheckpointError, match=f"{name} is .*, expected int"):
        config.from_dict({name: given})
