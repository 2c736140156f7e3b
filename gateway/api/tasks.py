"""`/v1/tasks`: hand in a conversion, see how far it is, fetch what it made, cancel it.

The result of a task is known to its owner alone: its handles stand sealed in the ledger and are
shown to a key of the account, as often as it asks, until the task is forgotten.
"""

import asyncio

import msgspec
from aiohttp import hdrs, web

from gateway import downloads, problems, state
from gateway.api.answers import answer
from gateway.asked import whole_of
from gateway.errors import (
    RequestMalformed,
    TaskCancelled,
    TaskElsewhere,
    TaskExpired,
    TaskInstanceLost,
    TaskUnfinished,
)
from gateway.problems import Problem
from gateway.stages import Stage
from gateway.storing import moment
from gateway.tasks import submitting
from gateway.tasks.asked import RESPOND_ASYNC, WAIT, preferences, wait_of
from gateway.tasks.request import ResultFile, outcome_of
from ledger.conversion_id import new_conversion_id
from ledger.errors import DebitLapsed, FileUnknown
from ledger.tasks.states import End, State
from ledger.tasks.task import Task

LIMIT = 50
# A page of 200 tasks is about 120 KB of JSON.
LIMIT_MAX = 200
APPLIED = "Preference-Applied"

# Ends that nobody wrote a document about: the ledger decided them.
_SAID: dict[str, Exception] = {
    problems.kind_of(error).code: error
    for error in (
        TaskInstanceLost(
            "the process that ran this task is gone, and it was tried as often as a task is;"
            " nothing was charged, and it can be sent again"
        ),
        TaskExpired(
            "the task did not begin in time, or nobody fetched its result; nothing was charged"
        ),
        TaskCancelled("the task was cancelled; nothing was charged"),
    )
}


class ResultItem(msgspec.Struct, frozen=True, kw_only=True):
    """A result. Its handle opens it, as `file=` too; one in memory has only its URL.

    One that was written to storage of its owner's (`deliver_to`) says where, and is there alone.
    """

    name: str
    bytes: int
    media_type: str
    url: str | None
    handle: str | None
    id: str | None
    expires_at: str | None
    delivered_to: str | None
    # What that storage calls this version of the file.
    etag: str | None


class TaskPage(msgspec.Struct, frozen=True, kw_only=True):
    """A task."""

    id: str
    url: str
    state: State
    # What it does now: queued, starting, reading, converting, storing; then as its state.
    stage: str
    # Of the conversion, 0 to 1, where its converter says so.
    progress: float
    source: str
    target: str
    hold: str
    # How often it was begun.
    attempt: int
    # What it cost; 0 while nothing is final, and wherever it did not succeed.
    credits: int
    # Names the entries of its last attempt.
    request_id: str | None
    created_at: str
    started_at: str | None
    ended_at: str | None
    # Of one that waits: when it is given up. Of one that is over: when it is forgotten.
    expires_at: str
    results: tuple[ResultItem, ...]
    warnings: tuple[str, ...]
    # Why there are no results.
    problem: Problem | None


class TasksPage(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks, the newest first."""

    tasks: tuple[TaskPage, ...]
    # The `cursor` of the next page; null at the end.
    next: str | None


async def submit(request: web.Request) -> web.StreamResponse:
    """`POST /v1/tasks/{source}/{target}`, and conversions with `Prefer: respond-async`."""
    submitted = await submitting.submit(request)
    account_id = request[state.CALLER].account_id
    task = await request.app[state.LEDGER].tasks.get(account_id, submitted.id)
    page = page_of(request.app, task)
    response = answer(page, web.HTTPAccepted.status_code)
    response.headers[hdrs.LOCATION] = page.url
    if submitted.repeat:
        response.headers["Idempotent-Replay"] = "true"
    if RESPOND_ASYNC in preferences(request):
        response.headers[APPLIED] = RESPOND_ASYNC
    return response


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /v1/tasks/{id}`: at once, or when it is over (`Prefer: wait=N`)."""
    task = await _own(request)
    wait_s = wait_of(request, request.app[state.SETTINGS].tasks.wait_s_max)
    if wait_s and request.method == hdrs.METH_GET:
        task = await _waited(request, task, wait_s)
    response = answer(page_of(request.app, task))
    if wait_s:
        response.headers[APPLIED] = f"{WAIT}={wait_s:.0f}"
    return response


async def list_tasks(request: web.Request) -> web.StreamResponse:
    """`GET /v1/tasks`."""
    before = whole_of(request, "cursor", 0) or None
    limit = whole_of(request, "limit", LIMIT)
    if not 1 <= limit <= LIMIT_MAX:
        raise RequestMalformed(f"limit is a whole number from 1 to {LIMIT_MAX}")
    # One more than asked for says whether there is another page.
    found = await request.app[state.LEDGER].tasks.list(
        request[state.CALLER].account_id,
        before_seq=before,
        state=_state_of(request),
        limit=limit + 1,
    )
    page = found[:limit]
    more = len(found) > limit
    return answer(
        TasksPage(
            tasks=tuple(page_of(request.app, task) for task in page),
            next=str(page[-1].seq) if more else None,
        )
    )


async def cancel(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/tasks/{id}`: one that is not over is cancelled, one that is over forgotten."""
    tasks, account_id = request.app[state.LEDGER].tasks, request[state.CALLER].account_id
    task = await tasks.cancel(account_id, request.match_info["id"])
    if task is None:
        return web.Response(status=web.HTTPNoContent.status_code)
    return answer(page_of(request.app, task))


async def fetch(request: web.Request) -> web.StreamResponse:
    """`GET /v1/tasks/{id}/result`: out of memory, once, paid by its last byte; or where it is."""
    task = await _own(request)
    if task.state is not State.SUCCEEDED:
        raise TaskUnfinished(f"the task is {task.state}: it has no result; see its document")
    outcome = outcome_of(task.outcome)
    if outcome.files[0].delivered_to:
        raise FileUnknown("the result was written to storage of your own; the task says where")
    if task.hold != "memory":
        return web.Response(
            status=web.HTTPSeeOther.status_code,
            headers={hdrs.LOCATION: f"/v1/files/{outcome.files[0].handle}"},
        )
    return await _fetched(request, task, outcome.files[0])


def page_of(app: web.Application, task: Task) -> TaskPage:
    """A task as its owner sees it; how far it is, as this process knows it."""
    outcome = outcome_of(task.outcome)
    attempt = app[state.TASKS].attempt_at(task.seq) if task.state is State.RUNNING else None
    here = attempt is not None and attempt.claimed.conversion_id == task.conversion_id
    problem = outcome.problem
    if problem is None and task.code in _SAID:
        named = task.conversion_id or new_conversion_id()
        problem = problems.problem_of(_SAID[task.code], named)
    return TaskPage(
        id=task.id,
        url=f"/v1/tasks/{task.id}",
        state=task.state,
        stage=attempt.stage if attempt and here else task.stage,
        progress=round(attempt.progress if attempt and here else task.progress, 3),
        source=task.source,
        target=task.target,
        hold=task.hold,
        attempt=task.attempt,
        credits=task.credits if task.settled else 0,
        request_id=str(task.conversion_id) if task.conversion_id else None,
        created_at=moment(task.created_at),
        started_at=moment(task.started_at) if task.started_at else None,
        ended_at=moment(task.ended_at) if task.ended_at else None,
        expires_at=moment(task.expires_at),
        results=tuple(_result(task, file) for file in outcome.files if _is_there(task)),
        warnings=outcome.warnings,
        problem=problem,
    )


def _is_there(task: Task) -> bool:
    """Whether there is something to fetch: a result in memory goes with its fetching."""
    return task.state is State.SUCCEEDED and not (task.hold == "memory" and task.settled)


def _result(task: Task, file: ResultFile) -> ResultItem:
    url = f"/v1/files/{file.handle}" if file.handle else f"/v1/tasks/{task.id}/result"
    return ResultItem(
        name=file.name,
        bytes=file.bytes,
        media_type=file.media_type,
        url=None if file.delivered_to else url,
        handle=file.handle,
        id=file.id,
        expires_at=None if file.delivered_to else file.expires_at or moment(task.expires_at),
        delivered_to=file.delivered_to,
        etag=file.etag,
    )


def _state_of(request: web.Request) -> State | None:
    text = request.query.get("state")
    if text is None:
        return None
    if text not in set(State):
        raise RequestMalformed(f"state is one of: {', '.join(State)}")
    return State(text)


async def _own(request: web.Request) -> Task:
    """The task of the address, if it is the caller's. Raises TaskUnknown."""
    tasks, account_id = request.app[state.LEDGER].tasks, request[state.CALLER].account_id
    return await tasks.get(account_id, request.match_info["id"])


async def _waited(request: web.Request, task: Task, wait_s: float) -> Task:
    """The task when it is over, or when the wait is; a service that stops keeps nobody."""
    clock = asyncio.get_running_loop().time
    ends_s = clock() + wait_s
    watch, door = request.app[state.TASKS].watch, request.app[state.DOOR]
    with watch.on(task.seq) as event:
        # What changed before somebody listened is seen by this look.
        task = await _own(request)
        while not task.over and clock() < ends_s and not door.stopping:
            await watch.pause(event, max(ends_s - clock(), 0))
            task = await _own(request)
    return task


async def _fetched(request: web.Request, task: Task, file: ResultFile) -> web.StreamResponse:
    app = request.app
    room = app[state.TASKS].held.get(task.account_id, task.id)
    if room is None and not task.settled and task.holder != app[state.TASKS].instance:
        raise TaskElsewhere("the result is in the memory of another process; ask again")
    if room is None:
        raise FileUnknown("the result was fetched, or is gone: results in memory go once")
    with app[state.DOOR].enter():
        async with room.reading:
            if not room.result:
                raise FileUnknown("the result was fetched, or is gone: results in memory go once")
            response = web.StreamResponse(
                headers={
                    hdrs.CONTENT_TYPE: file.media_type,
                    hdrs.CONTENT_DISPOSITION: downloads.disposition(file.name),
                    "X-Credits-Used": str(task.credits),
                }
            )
            body = downloads.Kept(room.result)
            request[state.RESPONSE] = response
            if request.method == hdrs.METH_HEAD:
                response.content_length = body.size
                await response.prepare(request)
                return response
            request[state.TRAIL].reached(Stage.RESPONDING)
            await downloads.send(request, response, body, app[state.SETTINGS].download)
            request[state.TRAIL].reached(Stage.DELIVERED)
            await _paid(request, task)
            room.free()
    return response


async def _paid(request: web.Request, task: Task) -> None:
    """The last byte is out: the debit is final. Raises DebitLapsed: then it was given away."""
    tasks, config = request.app[state.LEDGER].tasks, request.app[state.SETTINGS].tasks
    end = End(
        state=State.SUCCEEDED,
        money="settle" if task.credits else "free",
        keep_s=config.remembered_s,
        credits=task.credits,
        told=False,
    )
    said = await tasks.finish(task, end, conversion_id=task.conversion_id, since=(State.SUCCEEDED,))
    if said != "done":
        raise DebitLapsed("the result came later than its debit lives; nothing was charged")
