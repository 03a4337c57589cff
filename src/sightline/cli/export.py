"""`sightline export`: a checkpoint for another engine."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from sightline.cli.options import argument, option
from sightline.cli.output import hub_hint, one_line, progress_bar
from sightline.errors import UsageError


def command(
    model: Annotated[str, argument("MODEL", "Export this checkpoint: a folder, a Hub name, or mini.")],
    out: Annotated[
        Path,
        option("FOLDER", "Write the export to this folder; an earlier export there is replaced. Needed.", "--out"),
    ],
    to: Annotated[
        Literal["onnx", "openvino"],
        option(None, "Export for ONNX Runtime or for OpenVINO. Default: onnx.", "--to"),
    ] = "onnx",
    precision: Annotated[
        Literal["float32", "float16", "int8"],
        option(
            None,
            "Keep weights in this precision: float16 halves their size (openvino), int8 quarters it and computes with "
            "scales that are measured beforehand. Default: float32.",
            "--precision",
        ),
    ] = "float32",
    calibrate: Annotated[
        Path | None,
        option("DIR", "Measure int8's scales on the images in this folder. Default: drawn scenes.", "--calibrate"),
    ] = None,
    texts: Annotated[
        Path | None,
        option(
            "FILE", "Measure int8's scales on the lines of this file. Default: captions of drawn scenes.", "--texts"
        ),
    ] = None,
    layout: Annotated[
        Literal["sightline", "immich"],
        option(None, "Lay out the folder as Sightline opens it, or as Immich does. Default: sightline.", "--layout"),
    ] = "sightline",
) -> None:
    """Write a checkpoint for an engine that runs without torch.

    Each tower becomes a file, with the checkpoint's config, preprocessing and tokenizer beside it. Before the folder
    appears, its vectors are compared with torch's; each line says how near they are. `sightline index --model FOLDER`
    and the other commands open the folder as they open a checkpoint.

    \b
    Examples:
      sightline export mini --out mini-onnx
      sightline export mini --to openvino --precision int8 --calibrate ~/Pictures --out mini-int8
    """
    from sightline.optimize.export import export
    from sightline.optimize.immich import export_immich

    if layout == "immich" and (to, precision) != ("onnx", "float32"):
        raise UsageError(f"Immich takes ONNX files in float32, no {to} in {precision}: leave out --to and --precision")
    if layout == "immich" and (calibrate is not None or texts is not None):
        raise UsageError("Immich takes float32, for which nothing is measured: leave out --calibrate and --texts")
    with hub_hint("sightline export mini --out FOLDER"), progress_bar() as progress:
        if layout == "immich":
            exported = export_immich(model, out, progress=progress)
        else:
            exported = export(model, out, to, precision, calibrate=calibrate, texts=texts, progress=progress)
    for one in exported:
        near = (
            f"at most {one.measured['difference']:.1e} from torch's"
            if precision == "float32"
            else f"a mean cosine of {one.measured['cosine']:.4f} to float32 (least {one.measured['least_cosine']:.4f})"
        )
        compared = f"{one.measured['vectors']} vectors compared"
        print(f"{one_line(str(one.file))}  {one.size / 1e6:,.1f} MB  {near}, {compared}")
    typer.echo(f"exported: {one_line(str(out))}", err=True)
