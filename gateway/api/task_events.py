"""The handler of a task's stream of events (`gateway/tasks/stream.py`)."""

import asyncio

from aiohttp import hdrs, web

from gateway import state
from gateway.api.tasks import TaskPage, page_of
from gateway.tasks import stream
from ledger.errors import TaskUnknown
from ledger.tasks.task import Task

# Progress of a task that runs elsewhere is in the database, and nobody announces it.
LOOK_S = 1.0


async def follow(request: web.Request) -> web.StreamResponse:
    """`GET /v1/tasks/{id}/events`."""
    app, account_id = request.app, request[state.CALLER].account_id
    task = await app[state.LEDGER].tasks.get(account_id, request.match_info["id"])
    with app[state.STREAMS].place(account_id), app[state.TASKS].watch.on(task.seq) as changed:
        response = web.StreamResponse(
            headers={hdrs.CONTENT_TYPE: stream.MEDIA_TYPE, "X-Accel-Buffering": "no"}
        )
        request[state.RESPONSE] = response
        await response.prepare(request)
        if request.method != hdrs.METH_HEAD:
            await _write(request, response, task, changed)
    return response


async def _write(
    request: web.Request, response: web.StreamResponse, task: Task, changed: asyncio.Event
) -> None:
    app, clock = request.app, asyncio.get_running_loop().time
    config = app[state.SETTINGS].tasks
    number, told, ends_s = 0, None, clock() + config.stream_s_max
    beat_s = clock() + config.stream_beat_s
    while True:
        try:
            # What changed before somebody listened is seen by this look.
            task = await app[state.LEDGER].tasks.get(task.account_id, task.id)
        except TaskUnknown:  # forgotten meanwhile
            return
        page: TaskPage = page_of(app, task)
        if page != told:
            number, told = number + 1, page
            await response.write(stream.event(number, page))
            beat_s = clock() + config.stream_beat_s
        elif clock() >= beat_s:
            await response.write(stream.COMMENT)
            beat_s = clock() + config.stream_beat_s
        if task.over or clock() >= ends_s or app[state.DOOR].stopping:
            await response.write_eof()
            return
        await app[state.TASKS].watch.pause(changed, LOOK_S)
