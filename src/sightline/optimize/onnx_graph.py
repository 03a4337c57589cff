"""A module to an ONNX file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from sightline.errors import SightlineError
from sightline.optimize.quiet import quiet
from sightline.optimize.sides import Shape

_LARGEST = 1_900_000_000
"""Bytes of weights that a file of protobuf can hold, with room for the graph; more lie in a file beside it."""
_MANY = 32 << 20
"""Bytes of weights that are worth a file of their own: ONNX Runtime maps it into memory, which opens several times as
fast as reading the weights out of the graph's file."""


def is_large(module: nn.Module) -> bool:
    """Whether the weights lie in a file of their own."""
    return sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers())) > _LARGEST


def write_onnx(
    graph: nn.Module, shapes: Mapping[str, Shape], output: str, example: Mapping[str, Tensor], longest: int, path: Path
) -> None:
    """The graph of a module. `shapes` of its inputs, in their order: names are lengths that vary, "length" up to
    `longest`. Weights of more than 2 GB lie beside it, in a file with ".data" after its name."""
    dims = {"batch": Dim("batch"), "length": Dim("length", max=max(longest, 2))}
    varying = tuple(
        {number: dims[size] for number, size in enumerate(shape) if isinstance(size, str)} for shape in shapes.values()
    )
    try:
        with quiet(), torch.no_grad():
            program: Any = torch.onnx.export(
                graph.eval(),
                tuple(example.values()),
                dynamo=True,
                dynamic_shapes=(varying,),
                input_names=list(shapes),
                output_names=[output],
                verbose=False,
            )
            program.save(str(path), external_data=is_large(graph))
    except torch.onnx.OnnxExporterError as error:
        raise SightlineError(
            f"torch {torch.__version__} cannot trace this model: {error.__cause__ or error}"
        ) from error


def put_weights_beside(path: Path) -> None:
    """Moves many weights out of the graph's file, into one beside it with ".data" after its name."""
    if path.stat().st_size < _MANY:
        return
    with quiet():
        import onnx

        beside = f"{path.name}.data"
        onnx.save(onnx.load(path), path, save_as_external_data=True, location=beside, size_threshold=1024)
        path.with_name(beside).chmod(path.stat().st_mode)  # the library makes it readable for its owner alone
