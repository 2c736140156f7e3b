"""The published description: valid, complete, and the same as the committed one."""

from pathlib import Path

from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway import openapi, problems
from gateway.routes import ROUTES, add_routes

GOLDEN = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_committed_description_is_the_generated_one() -> None:
    assert GOLDEN.read_bytes() == openapi.encoded(), (
        "write it again: .venv/bin/python -m gateway.openapi > docs/openapi.json"
    )


def test_the_description_is_valid_openapi() -> None:
    errors = list(OpenAPIV31SpecValidator(openapi.document()).iter_errors())
    assert errors == []


def test_every_registered_address_is_described_and_the_other_way_round() -> None:
    router = web.Application().router
    add_routes(router)
    registered = {
        (route.method.lower(), route.resource.canonical)
        for route in router.routes()
        if route.resource and route.method != "HEAD"
    }
    described = {
        (method, path)
        for path, operations in openapi.document()["paths"].items()
        for method in operations
    }
    assert registered == described


def test_no_two_routes_share_a_handler_or_a_name() -> None:
    # The admission finds a route's row by its handler.
    assert len({row.handler for row in ROUTES}) == len(ROUTES)
    assert len({row.name for row in ROUTES}) == len(ROUTES)


def test_every_path_parameter_is_described() -> None:
    for row in ROUTES:
        named = {parameter.name for parameter in row.parameters if parameter.place == "path"}
        assert named == {part.strip("{}") for part in row.path.split("/") if part[:1] == "{"}


def test_every_described_problem_has_a_kind() -> None:
    assert {error for row in ROUTES for error in row.problems} <= problems.KINDS.keys()


def test_the_options_of_every_converter_are_described() -> None:
    schemas = openapi.document()["components"]["schemas"]
    assert schemas["ImageConvertOptions"]["properties"]["width"]["type"] == "integer"
