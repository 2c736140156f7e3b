"""numpy, without the decoder of Python objects that it would bring along.

numpy imports pickle for functions that nobody here calls; what a worker does not hold, a stranger's
bytes cannot reach. So numpy is given an empty module in its place while it is imported, and this
module comes before every other that imports numpy.
"""

import sys
from types import ModuleType

_empty = ModuleType("pickle")
sys.modules.setdefault("pickle", _empty)

import numpy as np  # noqa: E402  # the lines above are the reason for this module

if sys.modules["pickle"] is _empty:
    del sys.modules["pickle"]

__all__ = ["np"]
