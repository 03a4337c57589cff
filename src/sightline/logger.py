"""The logger "sightline": what a program may want to know that is no error. It is silent until a program listens.

INFO says which model was opened, and how. WARNING says what was done otherwise than asked: texts that were cut, a batch
that was halved. The command line shows warnings, a line each, on standard error.
"""

import logging

LOGGER = logging.getLogger("sightline")
LOGGER.addHandler(logging.NullHandler())
