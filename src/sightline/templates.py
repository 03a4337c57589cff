"""Templates: texts with "{}" where the name of a class goes."""

import re
from typing import Any

from sightline.errors import UsageError

IMAGE_TEMPLATE = "a photo of a {}."
"""For images, if no other is chosen: Radford et al. (2021), section 3.1.4."""
VIDEO_TEMPLATE = "{}"
"""For videos, if no other is chosen: the class stands alone, as in Ni et al. (2022)."""

_PLACE = re.compile(r"\{\w*\}")


def check_template(template: Any) -> str:
    """The template with its place for the class, "{}" or "{any_name}", written as "{}". Raises `UsageError`."""
    if not isinstance(template, str) or len(_PLACE.findall(template)) != 1:
        raise UsageError(f'the template {template!r} needs one "{{}}", where the class goes')
    return _PLACE.sub("{}", template)
