"""`python -m tests.gateway.task_killed_at WHERE`: the service, its own SIGKILL in a task's way.

WHERE is a stage of the attempt (`read`, ...), or of the request that hands the task in (`taking
read`). `delivered` is the moment before a task's end is recorded. The observer goes in through the
composition root, as any does; there is no switch for it in the service.
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
from gateway.tasks.attempt import TaskTrail

TAKING = "taking "


def main() -> None:
    where = sys.argv[1]
    taking, fatal = where.startswith(TAKING), Stage(where.removeprefix(TAKING))

    def kill(stage: Stage, trail: Trail) -> None:
        if stage is fatal and taking != isinstance(trail, TaskTrail):
            os.kill(os.getpid(), signal.SIGKILL)

    settings = config.load(os.environ)
    logs.configure(settings.log.level, settings.log.format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, announce, observers=[kill]))


if __name__ == "__main__":
    main()
