"""The addresses of tasks: what each accepts, answers and can refuse."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine import errors as engine
from gateway import errors as gateway
from gateway.api import task_events, tasks
from gateway.asked import FILE
from gateway.connection_routes import CONNECTION_PROBLEMS, DELIVER_PARAMETER, PLACES_PARAMETER
from gateway.conversion_routes import BINARY, CONVERSION_PARAMETERS, FILES
from gateway.endpoint import Access, Answer, Content, Endpoint, Parameter
from gateway.file_routes import FETCH_PROBLEMS, LIFETIME_PARAMETER, STORE_PROBLEMS, URL_PARAMETER
from gateway.permissions import Permission
from gateway.tasks import stream, submitting
from gateway.tasks.asked import (
    HOLD,
    NAME,
    NAME_CHARS_MAX,
    SECRET_HEADER,
    TIMEOUT,
    WEBHOOK,
)
from ledger import errors as ledger
from ledger.tasks.states import State

TASK_PARAMETERS = (
    Parameter(
        name=FILE,
        place="query",
        description="The handle of a stored file that is converted; then there is no body. "
        "Several, in their order, where the converter takes several files.",
        type=list[str],
    ),
    msgspec.structs.replace(
        URL_PARAMETER,
        description="Where the file is fetched when the task runs, percent-encoded; then there is "
        "no body, and nothing of it is stored before. Off where the operator did not turn it on.",
        type=list[str],
    ),
    Parameter(
        name=HOLD,
        place="query",
        description="Where the bytes are: in the store, sealed, until the task is over (`store`, "
        "the default), or in the memory of the process that took the task. Then its death is the "
        "task's, and its result is fetched once, within minutes.",
        type=Literal["store", "memory"],
    ),
    Parameter(
        name=NAME,
        place="query",
        description="What the result is named after, in place of the file.",
        type=Annotated[str, Meta(min_length=1, max_length=NAME_CHARS_MAX)],
    ),
    Parameter(
        name=TIMEOUT,
        place="query",
        description="For how many seconds the task may run, once it began; then it is `timed_out`.",
        type=Annotated[int, Meta(ge=1, le=86_400)],
    ),
    msgspec.structs.replace(
        LIFETIME_PARAMETER, description="For how many seconds the result is stored."
    ),
    Parameter(
        name=WEBHOOK,
        place="query",
        description="Hears of the task's end: the id of an endpoint of yours, or a URL of its own.",
    ),
    Parameter(
        name=SECRET_HEADER,
        place="header",
        description="Signs the calls of a `webhook` that is a URL: `whsec_` and base64 of 24 to 64 "
        "random bytes. Without it they are not signed; endpoints have their own secrets.",
    ),
)
_ID = Parameter(name="id", place="path", description="The task's `id`.")
CURSOR = Parameter(name="cursor", place="query", description="`next` of the page before.")
TAKEN = Answer(
    status=202,
    description="The task is in the queue.",
    content=(Content(type=tasks.TaskPage),),
    headers=(
        ("Location", "The task."),
        ("Idempotent-Replay", "`true` where this request was taken before."),
        ("Preference-Applied", "`respond-async` where it was asked for."),
    ),
)
_PAGE = Answer(status=200, description="The task.", content=(Content(type=tasks.TaskPage),))
TASK_PROBLEMS: tuple[type[Exception], ...] = (
    ledger.TaskQuotaExceeded,
    ledger.TaskQueueFull,
    ledger.HookUnknown,
    gateway.HooksOff,
)


def limit_of(most: int) -> Parameter:
    """How many a page holds, of a list with pages."""
    return Parameter(
        name="limit",
        place="query",
        description="How many a page holds.",
        type=Annotated[int, Meta(ge=1, le=most)],
    )


TASK_ROUTES: tuple[Endpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/tasks/{source}/{target}",
        handler=tasks.submit,
        access=Access.CUSTOMER,
        permission=Permission.TASKS,
        name="submitTask",
        tag="tasks",
        summary="Convert later, and ask or hear what became of it",
        description="As a conversion, and answered before it begins. The files come as the body, "
        "from the store, by URL or from storage of your own; the result is stored, and its handle "
        "stands in the task, or with `deliver_to=` it is written to storage of your own. It is "
        "charged when it succeeds, in the same moment; a task that fails, is cancelled, takes too "
        "long or dies with its process costs nothing. A task whose process died is tried once "
        "more. With an `Idempotency-Key` a repeat is answered with the first request's task.",
        uploads=True,
        check=submitting.check,
        parameters=(
            *(one for one in CONVERSION_PARAMETERS if one.name != "Prefer"),
            *TASK_PARAMETERS,
            *(PLACES_PARAMETER, DELIVER_PARAMETER),
        ),
        body=(
            Content(media_type="application/octet-stream", schema=BINARY),
            Content(media_type="multipart/form-data", schema=FILES),
        ),
        bodyless=True,
        answers=(TAKEN,),
        problems=(
            gateway.PriceAboveLimit,
            gateway.RequestMalformed,
            gateway.UploadCut,
            gateway.UploadTooSlow,
            gateway.UploadTooLarge,
            gateway.UploadPartsExceeded,
            gateway.MediaTypeUnsupported,
            gateway.ExpectationUnknown,
            gateway.MemoryFull,
            gateway.ServiceDraining,
            engine.FormatUnknown,
            engine.ConversionUnsupported,
            engine.OptionInvalid,
            engine.SourceCountInvalid,
            engine.SourceEmpty,
            ledger.AccountFrozen,
            ledger.NameTaken,
            ledger.KeyMismatch,
            ledger.LedgerUnavailable,
            *TASK_PROBLEMS,
            *STORE_PROBLEMS,
            *FETCH_PROBLEMS,
            *CONNECTION_PROBLEMS,
        ),
    ),
    Endpoint(
        method="GET",
        path="/v1/tasks",
        handler=tasks.list_tasks,
        access=Access.CUSTOMER,
        permission=Permission.TASKS,
        name="listTasks",
        tag="tasks",
        summary="The account's tasks, newest first",
        parameters=(
            limit_of(tasks.LIMIT_MAX),
            CURSOR,
            Parameter(name="state", place="query", description="Only these.", type=State),
        ),
        answers=(
            Answer(
                status=200, description="A page of tasks.", content=(Content(type=tasks.TasksPage),)
            ),
        ),
        problems=(gateway.RequestMalformed, ledger.LedgerUnavailable),
    ),
    Endpoint(
        method="GET",
        path="/v1/tasks/{id}",
        handler=tasks.show,
        access=Access.CUSTOMER,
        permission=Permission.TASKS,
        name="getTask",
        tag="tasks",
        summary="What became of a task",
        description="With `Prefer: wait=N` the answer comes when the task is over, or after N "
        "seconds, at most about a minute.",
        parameters=(
            _ID,
            Parameter(name="Prefer", place="header", description="`wait=20` waits for its end."),
        ),
        answers=(
            msgspec.structs.replace(
                _PAGE, headers=(("Preference-Applied", "How long it was ready to wait."),)
            ),
        ),
        problems=(ledger.TaskUnknown, ledger.LedgerUnavailable),
    ),
    Endpoint(
        method="GET",
        path="/v1/tasks/{id}/events",
        handler=task_events.follow,
        access=Access.CUSTOMER,
        permission=Permission.TASKS,
        name="followTask",
        tag="tasks",
        summary="A task's document whenever it changes",
        description="Server-sent events named `task`; the last one is that of its end.",
        parameters=(_ID,),
        answers=(
            Answer(
                status=200,
                description="Events, until the task is over.",
                content=(Content(media_type=stream.MEDIA_TYPE),),
            ),
        ),
        problems=(ledger.TaskUnknown, gateway.StreamsExceeded, ledger.LedgerUnavailable),
    ),
    Endpoint(
        method="GET",
        path="/v1/tasks/{id}/result",
        handler=tasks.fetch,
        access=Access.CUSTOMER,
        permission=Permission.TASKS,
        name="getTaskResult",
        tag="tasks",
        summary="The result of a task",
        description="Of one in the store: where it is. Of one with `hold=memory`: the file, once, "
        "charged when its last byte is sent.",
        parameters=(_ID,),
        answers=(
            Answer(
                status=200,
                description="The result, out of memory.",
                content=(Content(media_type="*/*", schema=BINARY),),
                headers=(
                    ("X-Credits-Used", "What it costs."),
                    ("Content-Disposition", "A file name."),
                ),
            ),
            Answer(
                status=303,
                description="It is in the store.",
                headers=(("Location", "The stored file."),),
            ),
        ),
        problems=(
            ledger.TaskUnknown,
            ledger.FileUnknown,
            gateway.TaskUnfinished,
            gateway.TaskElsewhere,
            gateway.ServiceDraining,
            ledger.LedgerUnavailable,
        ),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/tasks/{id}",
        handler=tasks.cancel,
        access=Access.CUSTOMER,
        permission=Permission.TASKS,
        name="cancelTask",
        tag="tasks",
        summary="Cancel a task, or forget it",
        description="One that waits or runs is cancelled and costs nothing. One that is over is "
        "forgotten, and its results are deleted.",
        parameters=(_ID,),
        answers=(
            msgspec.structs.replace(_PAGE, description="It is cancelled."),
            Answer(status=204, description="It was over, and is forgotten."),
        ),
        problems=(ledger.TaskUnknown, ledger.LedgerUnavailable),
    ),
)
