"""`sightline verify`: does a checkpoint give on this machine what the reference gives?"""

from pathlib import Path
from typing import Annotated

from sightline.cli.options import BatchSizeOption, DeviceOption, PrecisionOption, argument, check_image, option
from sightline.encoder.options import EncoderOptions
from sightline.errors import CheckpointError


def command(
    model: Annotated[str, argument("MODEL", "Check this checkpoint: a folder, a Hub name, or mini.")],
    image: Annotated[
        Path | None,
        option(
            "FILE",
            "Check with this image, which the golden values of a public checkpoint were computed on. Default: a drawn "
            "scene, with which pixels, vectors and logits of a public checkpoint are checked against itself.",
        ),
    ] = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    batch_size: BatchSizeOption = None,
) -> None:
    """Check that a checkpoint gives the values that it should.

    Weights, token ids, pixels, vectors and logits are compared with golden values of the reference if the package has
    them for this checkpoint, else with the checkpoint itself; each line says which. That is computed in float32 on the
    processor; a last line compares it with --device, --precision and --batch-size. Exit status 1 if anything differs.

    \b
    Examples:
      sightline verify mini
      sightline verify openai/clip-vit-base-patch32 --image 000000039769.jpg
    """
    from sightline.encoder.verify import verify

    if image is not None:
        image = check_image(image)
    failed = 0
    for check in verify(model, image, EncoderOptions(device, precision, batch_size)):
        failed += not check.passed
        print(f"{'ok  ' if check.passed else 'FAIL'}  {check.what:<10} {check.result}  (against {check.against})")
    if failed:
        raise CheckpointError(
            f"{model}: {failed} of the checks failed: download the checkpoint again, or report it with the lines above"
        )
