"""`python -m tests.system.dying STAGE COUNT`: the service, killed when a stage is reached so often.

The observer is its own SIGKILL and goes in through the composition root; the service has no switch
for it.
"""

import asyncio
import itertools
import os
import signal
import sys

import uvloop

from gateway import config, logs
from gateway.cli.serve import announce
from gateway.server import serve
from gateway.stages import Stage, Trail


def main() -> None:
    fatal, last = Stage(sys.argv[1]), int(sys.argv[2])
    seen = itertools.count(1)

    def kill(stage: Stage, trail: Trail) -> None:
        del trail
        if stage is fatal and next(seen) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = config.load(os.environ)
    logs.configure(settings.log.level, settings.log.format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, announce, observers=[kill]))


if __name__ == "__main__":
    main()
