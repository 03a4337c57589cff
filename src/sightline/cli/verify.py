"""`sightline verify`: does a checkpoint give here what it gives elsewhere?"""

from pathlib import Path
from typing import Annotated

import typer

from sightline.cli.output import check_image
from sightline.errors import CheckpointError


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder, a Hub name, or mini.")],
    image: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The picture that the golden values were computed on.")
    ] = None,
) -> None:
    """Check a checkpoint: weights, token ids, pixels, vectors and logits.

    Against golden values of the reference where there are some, else for consistency with itself; each line says
    which. Exit status 1 if anything differs.

    \b
    Examples:
      sightline verify mini
      sightline verify openai/clip-vit-base-patch32 --image 000000039769.jpg
    """
    from sightline.encoder.verify import verify

    if image is not None:
        check_image(image)
    failed = 0
    for check in verify(model, image):
        failed += not check.passed
        print(f"{'ok  ' if check.passed else 'FAIL'}  {check.what:<10} {check.found}  (against {check.against})")
    if failed:
        raise CheckpointError(
            f"{model}: {failed} of the checks failed: fetch the checkpoint again, or report it with the lines above"
        )
