"""The OpenAPI 3.1 description, generated from the route table and msgspec's schemas.

3.1 schemas are JSON Schema 2020-12, which is what msgspec emits, so types need no translation.
`docs/openapi.json` is this document, written by `python -m gateway.openapi`; a test compares them.
"""

import functools
import re
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from engine import registry
from gateway import errors, problems
from gateway.api.formats import query_schema
from gateway.endpoint import Access, Answer, Content, Dialect, Endpoint, Parameter
from gateway.permissions import Permission
from gateway.routes import ROUTES

OPENAPI = "3.1.0"
REF = "#/components/schemas/{name}"
SECURITY: dict[Access, list[dict[str, list[str]]]] = {
    Access.PUBLIC: [],
    Access.CUSTOMER: [{"apiKey": []}],
    Access.VISITOR: [{}, {"apiKey": []}],
    Access.MEMBER: [{"apiKey": []}, {"session": []}],
    Access.PERSON: [{"session": []}],
    # An empty requirement means that none is needed: from the same machine.
    Access.OPERATOR: [{}, {"operatorToken": []}],
    Access.ADMIN: [{"operatorToken": []}],
}
# What any request of this kind can end in, beside the endpoint's own problems.
ACCESS_PROBLEMS: dict[Access, tuple[type[Exception], ...]] = {
    Access.PUBLIC: (),
    Access.CUSTOMER: (
        *(errors.KeyMissing, errors.KeyRefused, errors.KeyInQuery),
        *(errors.ScopeMissing, errors.AddressRefused),
    ),
    Access.VISITOR: (errors.KeyRefused,),
    Access.MEMBER: (
        *(errors.KeyMissing, errors.KeyRefused, errors.KeyInQuery),
        *(errors.ScopeMissing, errors.AddressRefused),
        *(errors.SessionRefused, errors.PermissionMissing),
    ),
    Access.PERSON: (
        *(errors.SessionMissing, errors.SessionRefused, errors.KeyInQuery),
        errors.PermissionMissing,
    ),
    Access.OPERATOR: (errors.OperatorOnly,),
    Access.ADMIN: (errors.OperatorOnly,),
}

Json = dict[str, Any]


def document(routes: Sequence[Endpoint] = ROUTES) -> Json:
    """The whole description as plain JSON values."""
    types = _types(routes)
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    by_type = dict(zip(types, schemas, strict=True))
    paths: dict[str, Json] = {}
    for endpoint in routes:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, by_type)
    described: Json = {
        "openapi": OPENAPI,
        "info": {
            "title": "Ephemera",
            "version": version("ephemera"),
            "summary": "A file in, a file out; nothing of it remains.",
            "description": "Files are converted in memory, each by a process that lives for that "
            "one conversion in a kernel sandbox. Credits are debited before and refunded after a "
            "failure. Every error is an RFC 9457 problem document and was never charged.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "schemas": components | _option_schemas(),
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key of an account.",
                },
                "session": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "What a sign-in answered.",
                },
                "operatorToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The operator's token; not needed on the same machine.",
                },
            },
        },
    }
    # Through JSON once, so that tuples of our tables are the arrays that they will be.
    plain: Json = msgspec.json.decode(msgspec.json.encode(described))
    return plain


def encoded(routes: Sequence[Endpoint] = ROUTES) -> bytes:
    """The description as it is served and committed: indented, so that a diff can be read."""
    return msgspec.json.format(msgspec.json.encode(document(routes)), indent=2) + b"\n"


@functools.cache
def page() -> bytes:
    """What is served, made once a process: it takes a tenth of a second."""
    return encoded()


def _types(routes: Iterable[Endpoint]) -> list[Any]:
    found: dict[Any, None] = {problems.Problem: None}
    for endpoint in routes:
        found |= dict.fromkeys(one.type for one in endpoint.parameters if not one.exploded)
        contents = (*endpoint.body, *(one for reply in endpoint.answers for one in reply.content))
        found |= dict.fromkeys(one.type for one in contents if one.type is not None)
        if endpoint.dialect is not None:
            found[endpoint.dialect.document] = None
    return list(found)


def _operation(endpoint: Endpoint, schemas: dict[Any, Json]) -> Json:
    operation: Json = {
        "operationId": endpoint.name,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "security": SECURITY[endpoint.access],
        "parameters": [_parameter(one, schemas) for one in endpoint.parameters],
        "responses": {str(one.status): _answer(one, schemas) for one in endpoint.answers}
        | _problem_answers(endpoint, schemas),
    }
    if endpoint.permission is not Permission.NONE:
        operation["x-permission"] = endpoint.permission.value
    if endpoint.description:
        operation["description"] = endpoint.description
    if endpoint.body:
        operation["requestBody"] = {
            "required": not endpoint.bodyless,
            "content": _contents(endpoint.body, schemas),
        }
    return operation


def _parameter(parameter: Parameter, schemas: dict[Any, Json]) -> Json:
    described: Json = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "required": parameter.required or parameter.place == "path",
    }
    if not parameter.exploded:
        return described | {"schema": schemas[parameter.type]}
    options = [{"$ref": REF.format(name=name)} for name in _option_schemas()]
    # `form` and `explode` are how OpenAPI writes an object as ?width=800&quality=80.
    return described | {"style": "form", "explode": True, "schema": {"anyOf": options}}


def _answer(answer: Answer, schemas: dict[Any, Json]) -> Json:
    described: Json = {"description": answer.description}
    if answer.content:
        described["content"] = _contents(answer.content, schemas)
    if answer.headers:
        described["headers"] = {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in answer.headers
        }
    return described


def _contents(contents: Iterable[Content], schemas: dict[Any, Json]) -> Json:
    described: Json = {}
    for one in contents:
        schema = schemas[one.type] if one.type is not None else one.schema
        # A result of any kind may be JSON, and is then no string.
        told = schema is not None and one.media_type != "*/*"
        described[one.media_type] = {"schema": schema} if told else {}
    return described


def _problem_answers(endpoint: Endpoint, schemas: dict[Any, Json]) -> Json:
    raised = (*ACCESS_PROBLEMS[endpoint.access], *_step_up(endpoint), *endpoint.problems)
    if endpoint.dialect is not None:
        return _dialect_answers(endpoint.dialect, raised, schemas)
    codes: dict[int, list[str]] = {}
    for kind in (problems.KINDS[error] for error in raised):
        listed = codes.setdefault(kind.status, [])
        if kind.code not in listed:
            listed.append(kind.code)
    return {
        str(status): {
            "description": "A problem: " + ", ".join(listed),
            "content": {problems.MEDIA_TYPE: {"schema": schemas[problems.Problem]}},
        }
        for status, listed in sorted(codes.items())
    }


def _step_up(endpoint: Endpoint) -> tuple[type[Exception], ...]:
    return (errors.StepUpWanted,) if endpoint.step_up else ()


def _dialect_answers(
    dialect: Dialect, raised: Iterable[type[Exception]], schemas: dict[Any, Json]
) -> Json:
    return {
        str(status): {
            "description": "A refusal: " + ", ".join(listed),
            "content": {dialect.media_type: {"schema": schemas[dialect.document]}},
        }
        for status, listed in sorted(dialect.refusals(raised).items())
    }


@functools.cache
def _option_schemas() -> dict[str, Json]:
    """Each converter's options as a component: `image.convert` becomes `ImageConvertOptions`."""
    return {
        re.sub(r"(?:^|[._-])(\w)", lambda match: match[1].upper(), converter.name) + "Options": {
            "title": f"Options of {converter.name}",
            "description": converter.title,
        }
        | query_schema(converter)
        for converter in registry.CONVERTERS
    }


if __name__ == "__main__":
    sys.stdout.buffer.write(encoded())
