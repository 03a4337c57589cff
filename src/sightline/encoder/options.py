"""How a model is run, as the commands' options say it. Without torch: the command line reads it."""

from dataclasses import dataclass

from sightline.encoder.precision import Precision


@dataclass(frozen=True)
class EncoderOptions:
    """The arguments of `load` by these names: `--device`, `--precision`, `--batch-size` and `--compile`."""

    device: str = "auto"
    precision: Precision = "auto"
    batch_size: int | None = None
    compile: bool = False


DEFAULTS = EncoderOptions()
