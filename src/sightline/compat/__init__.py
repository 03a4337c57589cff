"""Names under which scripts written for `transformers` find what Sightline has: views of its own classes."""

from sightline.compat import logging as logging
