"""`sightline eval knn`: images classified by their nearest neighbours among others."""

from typing import Annotated

from sightline.cli.eval.common import evaluate_all, open_model
from sightline.cli.eval.files import Files
from sightline.cli.eval.options import (
    CsvOption,
    FreshOption,
    HtmlOption,
    ImageRootOption,
    JsonOption,
    LatexOption,
    MarkdownOption,
    ModelArgument,
    PrecisionOption,
    SplitOption,
    TestArgument,
    TrainArgument,
    TrainSplitOption,
)
from sightline.cli.options import BatchSizeOption, DeviceOption, option


def command(
    model: ModelArgument,
    train: TrainArgument,
    test: TestArgument,
    k: Annotated[int, option("N", "Let this number of nearest images vote. Default: 20.", "-k")] = 20,
    temperature: Annotated[
        float, option("T", "Weight a vote by exp(cosine / T). Default: 0.07.", "--temperature")
    ] = 0.07,
    split: SplitOption = None,
    train_split: TrainSplitOption = None,
    image_root: ImageRootOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = None,
    batch_size: BatchSizeOption = None,
    fresh: FreshOption = False,
    json: JsonOption = None,
    html: HtmlOption = None,
    csv: CsvOption = None,
    markdown: MarkdownOption = None,
    latex: LatexOption = None,
) -> None:
    """Accuracy by the nearest neighbours of an image.

    Searches among the features before the projection, exactly, and lets the nearest images of TRAIN vote, the nearer
    the more. Prints top-1 and top-5, over all images and for each class.

    \b
    Example:
      sightline eval knn openai/clip-vit-base-patch32 pets/train pets/test -k 20
    """
    files = Files(json, html, csv, markdown, latex)

    from sightline.data import labelled
    from sightline.evaluate import knn

    train_data = labelled(train, split=train_split, image_root=image_root)
    dataset = labelled(test, split=split, image_root=image_root)
    encoder, settings = open_model(model, device, precision, batch_size), {"split": split}
    evaluate_all(
        [dataset],
        files,
        fresh,
        lambda dataset, progress, kept: knn(
            encoder, train_data, dataset, progress, k=k, temperature=temperature, settings=settings, kept=kept
        ),
    )
