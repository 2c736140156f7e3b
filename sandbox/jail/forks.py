"""Forking a process of one thread, without what an interpreter does for those that had several.

os.fork() makes every lock of `threading` and `logging` anew in the child, and replaces the
interpreter's own: another thread could have held them. A zygote has one thread (`zygote.py` refuses
to start with more), and so none is held. What that costs a worker is not the work but its pages: a
tenth of all that it touches (measured on the whole worker: 1,019 page faults before, 905 after).

One hook is not about threads: a child must not draw the random numbers that its siblings draw.
"""

import ctypes
import os
import sys

# Called without releasing the interpreter's lock, which the child then holds as its parent does.
_LIBC = ctypes.PyDLL(None, use_errno=True)


def fork() -> int:
    """Fork this process, whose only thread calls; return the child's pid, or 0 in it.

    Hooks of os.register_at_fork() are not called; those of pthread_atfork(3) are. Raises OSError.
    """
    pid = int(_LIBC.fork())
    if pid == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    if pid == 0 and "random" in sys.modules:
        sys.modules["random"].seed()
    return pid
