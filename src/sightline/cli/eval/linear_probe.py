"""`sightline eval linear-probe`: logistic regression on the features of a frozen image tower."""

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
from sightline.cli.options import BatchSizeOption, DeviceOption


def command(
    model: ModelArgument,
    train: TrainArgument,
    test: TestArgument,
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
    """Accuracy of logistic regression on a frozen image tower.

    Fits the features before the projection, as for CLIP, and chooses the regularization by a fifth of TRAIN. Prints
    top-1 and top-5, over all images and for each class. Needs scikit-learn.

    \b
    Example:
      sightline eval linear-probe openai/clip-vit-base-patch32 pets/train pets/test --json probe.json
    """
    files = Files(json, html, csv, markdown, latex)

    from sightline.data import labelled
    from sightline.evaluate import linear_probe
    from sightline.evaluate.linear_probe import check_installed

    check_installed()
    train_data = labelled(train, split=train_split, image_root=image_root)
    dataset = labelled(test, split=split, image_root=image_root)
    encoder, settings = open_model(model, device, precision, batch_size), {"split": split}
    evaluate_all(
        [dataset],
        files,
        fresh,
        lambda dataset, progress, kept: linear_probe(
            encoder, train_data, dataset, progress, settings=settings, kept=kept
        ),
    )
