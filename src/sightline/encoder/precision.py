"""The names of the numbers that a model computes in. Without torch: the command line reads them."""

from typing import Literal

Precision = Literal["auto", "float32", "bfloat16", "float16", "int8", "int4", "fast"]
""" "auto": bfloat16 where the hardware has it, else float32. "int4": weights in 4 bits, and all else as by "auto".
"fast": what `encoder.fast` chooses for each tower."""
