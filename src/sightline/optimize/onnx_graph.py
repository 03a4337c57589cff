"""A side of a model to an ONNX file."""

from pathlib import Path
from typing import Any

import torch
from torch.export import Dim

from sightline.optimize.quiet import quiet
from sightline.optimize.sides import Graph, Side

_LARGEST = 1_900_000_000
"""Bytes of weights that a file of protobuf can hold, with room for the graph; more lie in a file beside it."""


def write_onnx(side: Side, path: Path) -> None:
    """The graph of a side. Weights of more than 2 GB lie beside it, in a file with ".data" after its name."""
    dims = {"batch": Dim("batch"), "length": Dim("length", max=max(side.longest, 2))}
    shapes = {
        name: {number: dims[size] for number, size in enumerate(shape) if isinstance(size, str)}
        for name, shape in side.inputs.items()
    }
    example = side.example(2, min(side.longest, 9))
    with quiet(), torch.no_grad():
        program: Any = torch.onnx.export(
            Graph(side).eval(),
            tuple(example.values()),
            dynamo=True,
            dynamic_shapes=(tuple(shapes.values()),),
            input_names=list(side.inputs),
            output_names=[side.output],
            verbose=False,
        )
        size = sum(tensor.nbytes for tensor in (*side.tower.parameters(), *side.tower.buffers()))
        program.save(str(path), external_data=size > _LARGEST)
