"""`/async/job/{id}`: what became of a job. 202 while it is under way, then what it would have been.

A job that succeeded is answered as its conversion would have been: JSON with ids or base64, the
first result itself, or parts; as often as somebody asks, until the job is forgotten. A failed one
is answered by its error and that one's status. What is cancelled, expired or never was is 404.
"""

import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec
from aiohttp import hdrs, web

from gateway import downloads, problems, state, storing
from gateway.compat.convertapi import answering, errors
from gateway.compat.convertapi.answering import ConvertAnswer
from gateway.compat.convertapi.errors import Attempt, Told
from gateway.compat.convertapi.general import JSON, OCTETS, PARTS, General, answer_type
from gateway.compat.convertapi.jobs import JobAnswer, answered, is_job_id
from gateway.stages import Stage
from gateway.tasks.request import ResultFile, TaskOutcome, outcome_of
from ledger.errors import FileUnknown, TaskUnknown
from ledger.files.files import Files, StoredFile
from ledger.tasks.states import State
from ledger.tasks.task import Task

# Clients that ask again and again are told how soon it is worth while.
POLL_S = 1


async def show(asked: web.Request) -> web.StreamResponse:
    """`GET /async/job/{id}`."""
    task = await _found(asked)
    if not task.over:
        response = answered(JobAnswer(job_id=task.id), web.HTTPAccepted.status_code)
        response.headers[hdrs.RETRY_AFTER] = str(POLL_S)
        return response
    outcome = outcome_of(task.outcome)
    if task.state is State.SUCCEEDED:
        return await _result(asked, task, outcome)
    if task.state is State.CANCELLED:
        raise unknown()
    told = _told(task, outcome)
    return answered(told.document, told.status)


async def cancel(asked: web.Request) -> web.StreamResponse:
    """`DELETE /async/job/{id}`: it is not done any more, or forgotten with its results."""
    task = await _found(asked)
    await asked.app[state.LEDGER].tasks.cancel(task.account_id, task.id)
    return web.Response(status=web.HTTPOk.status_code)


def unknown() -> TaskUnknown:
    """The one sentence for every id that names nothing."""
    return TaskUnknown("there is no such job: it never was, was cancelled, or is forgotten")


def _told(task: Task, outcome: TaskOutcome) -> Told:
    """Why there is no result; of an end that the ledger decided there is a code alone."""
    if outcome.problem is not None:
        # Any password at all: the one that was tried is forgotten.
        password = "-" if outcome.with_password else ""
        tried = Attempt(converter=outcome.converter, password=password)
        return errors.told_of(outcome.problem.code, outcome.problem.detail, tried)
    kinds = {kind.code: kind for kind in problems.KINDS.values()}
    kind = kinds.get(task.code or "", problems.UNFORESEEN)
    return errors.told_of(kind.code, kind.detail or f"{kind.title}; nothing was charged")


async def _found(asked: web.Request) -> Task:
    """The caller's own job. Raises TaskUnknown."""
    job_id = asked.match_info["id"]
    if not is_job_id(job_id):
        raise unknown()
    try:
        return await asked.app[state.LEDGER].tasks.get(asked[state.CALLER].account_id, job_id)
    except TaskUnknown as error:
        raise unknown() from error


async def _result(asked: web.Request, task: Task, outcome: TaskOutcome) -> web.StreamResponse:
    """The results as the client wants them."""
    kind = answer_type(asked.headers.get(hdrs.ACCEPT, ""), General())
    told = ConvertAnswer(
        conversion_cost=max(task.credits, 1),
        conversion_time=max(1, math.ceil(outcome.convert_s)),
        job_id=task.id,
    )
    if kind == JSON and not outcome.inline:
        base = answering.base_url(asked.app[state.SETTINGS], asked)
        files = tuple(
            answering.result_answer(one.name, one.bytes, one.handle or "", base)
            for one in outcome.files
        )
        return answered(msgspec.structs.replace(told, files=files))
    return await _sent(asked, kind, told, outcome.files)


async def _sent(
    asked: web.Request, kind: str, told: ConvertAnswer, files: Sequence[ResultFile]
) -> web.StreamResponse:
    """The bytes of the results, out of the store."""
    app, account_id = asked.app, asked[state.CALLER].account_id
    with app[state.DOOR].enter(), app[state.MEMORY].hold() as hold:
        hold.take(storing.HELD_BYTES)
        stored = [await _opened(app[state.LEDGER].files, one, account_id) for one in files]
        facts = tuple(answering.file_answer(one.name, one.bytes) for one in files)
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: kind})
        async with aclosing(_bytes(stored)) as pieces:
            read = _Reader(pieces).fill
            body: downloads.Body
            if kind == OCTETS:
                response.headers[hdrs.CONTENT_TYPE] = files[0].media_type
                name = answering.disposition(files[0].name)
                response.headers[hdrs.CONTENT_DISPOSITION] = name
                body = answering.First(files[0].bytes, read)
            elif kind == PARTS:
                mixed = answering.Mixed(facts, [one.media_type for one in files], read)
                response.headers[hdrs.CONTENT_TYPE] = mixed.content_type
                body = mixed
            else:
                body = answering.Inline(msgspec.structs.replace(told, files=facts), read)
            asked[state.RESPONSE] = response
            await downloads.send(asked, response, body, app[state.SETTINGS].download)
            asked[state.TRAIL].reached(Stage.DELIVERED)
    return response


async def _opened(files: Files, one: ResultFile, account_id: int) -> StoredFile:
    """A result in the store. Raises TaskUnknown where it was deleted or has expired."""
    try:
        return await files.open(one.handle or "", account_id)
    except FileUnknown as error:
        raise unknown() from error


async def _bytes(files: Sequence[StoredFile]) -> AsyncGenerator[memoryview, None]:
    """All files, one behind the other."""
    for file in files:
        async with aclosing(file.pieces()) as pieces:
            async for piece in pieces:
                yield piece


class _Reader:
    """Fills buffers of any size from pieces of any size."""

    def __init__(self, pieces: AsyncGenerator[memoryview, None]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    async def fill(self, room: memoryview) -> None:
        """Fill the buffer; a piece is asked for when the one before it is used up."""
        filled = 0
        while filled < len(room):
            if not self._rest:
                self._rest = await anext(self._pieces)
            part = self._rest[: len(room) - filled]
            room[filled : filled + len(part)] = part
            filled += len(part)
            self._rest = self._rest[len(part) :]
