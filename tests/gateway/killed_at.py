"""`python -m tests.gateway.killed_at STAGE`: the service, with an observer that is its own SIGKILL.

The observer goes in through the composition root, as any does; there is no switch for it in the
service.
"""

import asyncio
import os
import signal
import sys

import uvloop

from gateway import config, logs
from gateway.cli.serve import announce
from gateway.server import serve
from gateway.stages import Stage, Trail


def main() -> None:
    fatal = Stage(sys.argv[1])

    def kill(stage: Stage, _trail: Trail) -> None:
        if stage is fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = config.load(os.environ)
    logs.configure(settings.log.level, settings.log.format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, announce, observers=[kill]))


if __name__ == "__main__":
    main()
