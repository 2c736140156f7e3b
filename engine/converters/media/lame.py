"""LAME as its authors compile it, for FFmpeg to find before the copy beside it.

PyAV's wheels for Python 3.11 hold LAME compiled without optimisation: 30 seconds of stereo cost
1.1 seconds of CPU instead of 0.4. The wheel of lameenc holds the same LAME 3.100, optimised. Loaded
before FFmpeg's libraries and for all to see, its functions are those that FFmpeg's encoder is bound
to (ELF: the global scope comes before a library's own dependencies); nothing else of lameenc is
used. The family's zygote imports this module first. Where lameenc is absent, or LAME is inside
FFmpeg's own library as in later wheels, all works as without it.

No symbol that lameenc shows is another's here, LAME's own aside: `nm -D` of all libraries says so.
"""

import contextlib
import importlib
import os
import sys


def _load() -> None:
    """Import lameenc with its symbols in the global scope."""
    flags = sys.getdlopenflags()
    sys.setdlopenflags(os.RTLD_NOW | os.RTLD_GLOBAL)
    try:
        with contextlib.suppress(ImportError):
            importlib.import_module("lameenc")
    finally:
        sys.setdlopenflags(flags)


# At import, because importing FFmpeg's libraries binds them: no later call could come in time.
_load()
