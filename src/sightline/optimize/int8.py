"""A float32 file as an int8 file. Scales of weights are per channel, scales of activations fixed: measured once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sightline.encoder.engines.openvino import unreported
from sightline.optimize.quiet import quiet
from sightline.optimize.samples import Inputs


def quantize_onnx(path: Path, inputs: Inputs, large: bool) -> None:
    """The ONNX file at `path` in int8, in its place, with scales by `inputs`."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = path.with_name("prepared.onnx")
    with quiet():
        quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True, save_as_external_data=large)
        quantization.quantize_static(
            str(prepared),
            str(path),
            _Reader(inputs),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["Conv", "Gemm", "MatMul"],
            use_external_data_format=large,
            extra_options={"MatMulConstBOnly": True},
        )
    for left in path.parent.glob("prepared.onnx*"):
        left.unlink()


def quantize_openvino(model: Any, inputs: Inputs) -> Any:
    """OpenVINO's model in int8, with scales by `inputs`."""
    with quiet():
        with unreported():
            import nncf

        return nncf.quantize(
            model,
            nncf.Dataset(list(_singles(inputs))),
            preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(next(iter(inputs.values()))),
        )


def _singles(inputs: Inputs) -> Iterator[Inputs]:
    """One input after another, texts without their padding."""
    mask = inputs.get("attention_mask")
    for row in range(len(next(iter(inputs.values())))):
        length = None if mask is None else int(np.count_nonzero(mask[row]))
        yield {name: array[row : row + 1, :length] if mask is not None else array[row : row + 1]
               for name, array in inputs.items()}  # fmt: skip


class _Reader:
    """The inputs as ONNX Runtime's calibration asks for them."""

    def __init__(self, inputs: Inputs) -> None:
        self._rest = _singles(inputs)

    def get_next(self) -> Inputs | None:
        """The next input; None at the end."""
        return next(self._rest, None)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Not asked for: the inputs are read once."""
        raise NotImplementedError
