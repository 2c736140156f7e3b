"""The addresses of ConvertAPI's catalogue: what there is, for everybody."""

from typing import Any

from gateway import errors
from gateway.compat.convertapi import discovery
from gateway.compat.convertapi.dialect import ConvertApi
from gateway.endpoint import Access, Answer, Content, Endpoint, Handler, Parameter
from gateway.permissions import Permission

_DIALECT = ConvertApi()
_PAIR = (
    Parameter(name="source", place="path", description="A format, as `/convert` names it."),
    Parameter(name="target", place="path", description="A format, or what is to be done."),
)
_LIST = Answer(
    status=200,
    description="Converters with their parameters; an empty list where there is none.",
    content=(Content(type=list[discovery.ConverterInfo]),),
)


def _row(
    path: str,
    handler: Handler,
    name: str,
    summary: str,
    answer: Answer = _LIST,
    **more: Any,
) -> Endpoint:
    return Endpoint(
        method="GET",
        path=path,
        handler=handler,
        access=Access.PUBLIC,
        permission=Permission.NONE,
        name=name,
        tag="convertapi",
        summary=summary,
        answers=(answer,),
        dialect=_DIALECT,
        **more,
    )


DISCOVERY_ROUTES: tuple[Endpoint, ...] = (
    _row("/info", discovery.list_all, "convertapiInfo", "All of ConvertAPI's converters here"),
    _row(
        "/info/{source}/to/{target}",
        discovery.list_pairs,
        "convertapiInfoOfPair",
        "Converters of a pair; `*` is any",
        parameters=_PAIR,
    ),
    _row(
        "/info/converter/{name}",
        discovery.show,
        "convertapiInfoByName",
        "A converter by its name, in a list",
        parameters=(
            Parameter(name="name", place="path", description="`Name` of a converter at `/info`."),
        ),
        problems=(errors.RouteUnknown,),
    ),
    _row(
        "/info/canconvert/{source}/to/{target}",
        discovery.can_convert,
        "convertapiCanConvert",
        "Whether a pair is served",
        Answer(status=200, description="It is.", content=(Content(type=discovery.Convertible),)),
        parameters=_PAIR,
        problems=(errors.RouteUnknown,),
    ),
    _row(
        "/info/openapi/{source}/to/{target}",
        discovery.describe,
        "convertapiOpenApi",
        "One converter as OpenAPI 3.0.1",
        Answer(
            status=200, description="OpenAPI 3.0.1.", content=(Content(schema={"type": "object"}),)
        ),
        parameters=_PAIR,
        problems=(errors.RouteUnknown,),
    ),
)
