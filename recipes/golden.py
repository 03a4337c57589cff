"""Golden values of a packaged model, computed with `transformers` in float32, into `pretrained/golden.json`.

python recipes/golden.py mini [--out FILE]
"""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
import transformers

from sightline import scenes
from sightline.checkpoint.hub import sha256
from sightline.checkpoint.names import PACKAGED
from sightline.encoder.verify import patch_means

SCENE, SIZE = 0, 320
TEXTS = [
    "a red circle",
    "two blue stars on a brick wall, in moonlight",
    "Ein Hund läuft, 犬が走る! 🐕",
    "so long " * 200,
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the packaged model")
    parser.add_argument(
        "--out", type=Path, default=PACKAGED / "golden.json", help="the file that is brought up to date"
    )
    given = parser.parse_args()
    name = given.name
    image = scenes.sample(SCENE).draw(SIZE)
    model = transformers.AutoModel.from_pretrained(PACKAGED / name, dtype=torch.float32).eval()
    processor = transformers.AutoProcessor.from_pretrained(PACKAGED / name)
    inputs = processor(
        text=TEXTS,
        images=image,
        return_tensors="pt",
        padding=True,
        truncation=True,
        max_length=model.config.text_config.max_position_embeddings,
    )
    with torch.no_grad():
        out = model(**inputs)
    file = given.out
    goldens = json.loads(file.read_text())
    goldens[name] = {
        "source": f"golden values (transformers {transformers.__version__}, float32)",
        "weights_sha256": sha256(PACKAGED / name / "model.safetensors"),
        "texts": TEXTS,
        "token_ids": [
            row[mask.bool()].tolist() for row, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)
        ],
        "image": {"scene": SCENE, "size": SIZE, "pixels_sha256": hashlib.sha256(image.tobytes()).hexdigest()},
        "pixels": rounded(patch_means(inputs["pixel_values"][0].numpy())),
        "image_vector": rounded(out.image_embeds[0]),
        "text_vectors": [rounded(row) for row in out.text_embeds],
        "logits_per_image": rounded(out.logits_per_image[0]),
        "logits_tolerance": 1e-3,
    }
    file.write_text(json.dumps(goldens, indent=1) + "\n")
    print(f"golden values of {name}: {len(TEXTS)} texts, scene {SCENE}, logits {goldens[name]['logits_per_image']}")


def rounded(values: torch.Tensor | np.ndarray) -> list[float]:
    return [float(f"{v:.8g}") for v in np.asarray(values, np.float64).ravel()]


if __name__ == "__main__":
    main()
