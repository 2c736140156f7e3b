"""The addresses of asynchronous conversions on the ConvertAPI surface."""

from typing import Annotated

from msgspec import Meta

from gateway import errors as gateway
from gateway.compat.convertapi import converting, job_answers, jobs
from gateway.compat.convertapi.answering import ConvertAnswer
from gateway.compat.convertapi.routes import (
    BODIES,
    CONVERT_PROBLEMS,
    DIALECT,
    FORMATS,
    GENERAL,
    TAG,
)
from gateway.conversion_routes import BINARY
from gateway.endpoint import Access, Answer, Content, Endpoint, Parameter
from gateway.permissions import Permission
from ledger import errors as ledger

JobId = Annotated[str, Meta(pattern=rf"^[a-z0-9]{{{jobs.ID_CHARS}}}$")]
_JOB = Parameter(name="id", place="path", description="`JobId` of the job.", type=JobId)
_IGNORED = (converting.IGNORED, "Parameters that mean nothing here.")

JOB_ROUTES: tuple[Endpoint, ...] = (
    Endpoint(
        method="POST",
        path="/async/convert/{source}/to/{target}",
        handler=jobs.submit,
        access=Access.CUSTOMER,
        permission=Permission.TASKS,
        name="convertapiSubmit",
        tag=TAG,
        summary="Convert files later, as ConvertAPI does",
        description="As `/convert`, and answered at once with the id of a job. The webhook gets "
        "the same id when the job is over, unsigned, and again where it does not answer 2xx.",
        uploads=True,
        check=jobs.check,
        parameters=(
            *FORMATS,
            *GENERAL,
            Parameter(
                name="JobId",
                place="query",
                description="The client's own name for the job.",
                type=JobId,
            ),
            Parameter(
                name="WebHook",
                place="query",
                description="An address that is told when the job is over.",
            ),
        ),
        body=BODIES,
        bodyless=True,
        answers=(
            Answer(
                status=200,
                description="The job waits for its turn.",
                content=(Content(type=jobs.JobAnswer),),
                headers=(_IGNORED,),
            ),
        ),
        dialect=DIALECT,
        problems=(*CONVERT_PROBLEMS, ledger.TaskQueueFull, ledger.TaskQuotaExceeded),
    ),
    Endpoint(
        method="GET",
        path="/async/job/{id}",
        handler=job_answers.show,
        access=Access.CUSTOMER,
        permission=Permission.TASKS,
        name="convertapiGetJob",
        tag=TAG,
        summary="What became of a job",
        description="An error of the conversion is answered with that error and its status.",
        parameters=(_JOB,),
        answers=(
            Answer(
                status=200,
                description="The results, as their conversion would have been answered.",
                content=(
                    Content(type=ConvertAnswer),
                    Content(media_type="application/octet-stream", schema=BINARY),
                    Content(media_type="multipart/mixed", schema=BINARY),
                ),
            ),
            Answer(
                status=202,
                description="It waits, or is under way.",
                content=(Content(type=jobs.JobAnswer),),
                headers=(("Retry-After", "When it is worth while to ask again, in seconds."),),
            ),
        ),
        dialect=DIALECT,
        problems=(*CONVERT_PROBLEMS, ledger.TaskUnknown, gateway.DownloadStalled),
    ),
    Endpoint(
        method="DELETE",
        path="/async/job/{id}",
        handler=job_answers.cancel,
        access=Access.CUSTOMER,
        permission=Permission.TASKS,
        name="convertapiCancelJob",
        tag=TAG,
        summary="Cancel a job, or forget it with its results",
        parameters=(_JOB,),
        answers=(Answer(status=200, description="It is cancelled, or forgotten."),),
        dialect=DIALECT,
        problems=(ledger.TaskUnknown, ledger.LedgerUnavailable),
    ),
)
