"""ConvertAPI's catalogue over HTTP: what is listed can be asked for."""

import msgspec
import pytest
from openapi_spec_validator import validate

from gateway.compat.convertapi import discovery
from gateway.compat.convertapi.parameters import absent, table
from tests.gateway.service import Reply, Service

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def look(service: Service, path: str) -> Reply:
    return await service.ask("GET", f"/info{path}")


async def test_everything_is_listed_once_and_without_a_key(service: Service) -> None:
    reply = await look(service, "")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("application/json")
    listed = [(one["SourceFileFormats"][0], one["DestinationFileFormats"][0]) for one in reply.json]
    assert listed == [(source, one.target) for source, one in table.pairs()]
    assert len(set(listed)) == len(listed)
    assert not set(listed) & set(absent.REASONS)


async def test_a_pair_has_its_parameters_under_headings(service: Service) -> None:
    (info,) = (await look(service, "/pdf/to/jpg")).json
    assert info["Name"] == "PdfToJpg"
    assert info["SourceExtensions"] == ["pdf"]
    assert info["DestinationExtensions"] == ["jpg"]
    parameters = {
        one["Name"]: one
        for group in info["ConverterParameterGroups"]
        for one in group["ConverterParameters"]
    }
    assert parameters["File"] | {"Description": ""} == {
        "Name": "File",
        "Label": "File",
        "Type": "File",
        "Description": "",
        "GroupName": "Input",
        "Required": True,
        "Array": False,
    }
    assert parameters["ImageResolution"]["Range"] == {"From": 10.0, "To": 2400.0}
    assert parameters["PageRange"]["Default"] == "1-2000"
    assert parameters["Timeout"]["Default"] == 900
    assert parameters["StoreFile"]["Default"] is False
    # Inks cannot be had, so they are not offered.
    assert parameters["ColorSpace"]["Values"] == {
        "default": "default",
        "rgb": "rgb",
        "srgb": "srgb",
        "gray": "gray",
    }


@pytest.mark.parametrize("path", ["/*/to/merge", "/PDF/to/Merge", "/any/to/merge"])
async def test_stars_and_capitals_find_converters(service: Service, path: str) -> None:
    (info,) = (await look(service, path)).json
    assert info["Title"] == "PDF to MERGE API"


async def test_an_extension_finds_the_converter_that_takes_it(service: Service) -> None:
    (info,) = (await look(service, "/doc/to/pdf")).json
    assert info["SourceExtensions"] == ["docx", "doc", "docm", "odt"]
    (info,) = (await look(service, "/jpeg/to/png")).json
    assert info["SourceFileFormats"] == ["jpg"]


async def test_what_nobody_has_is_an_empty_list(service: Service) -> None:
    assert (await look(service, "/dwg/to/*")).json == []


async def test_a_converter_is_found_by_its_name(service: Service) -> None:
    (info,) = (await look(service, "/converter/pdftosplit")).json
    assert info["DestinationFileFormats"] == ["split"]
    unknown = await look(service, "/converter/Nobody")
    assert unknown.status == 404
    assert unknown.json["Code"] == 404


async def test_whether_a_pair_can_be_converted(service: Service) -> None:
    assert (await look(service, "/canconvert/docx/to/pdf")).status == 200
    assert (await look(service, "/canconvert/tif/to/jpeg")).status == 200
    assert (await look(service, "/canconvert/any/to/zip")).status == 200
    refused = await look(service, "/canconvert/dwg/to/pdf")
    assert refused.status == 404
    assert "DXF is read" in refused.json["Message"]


async def test_one_converter_is_described_as_openapi(service: Service) -> None:
    reply = await look(service, "/openapi/pdf/to/protect")
    assert reply.status == 200
    document = reply.json
    validate(document)
    assert document["openapi"] == "3.0.1"
    (path,) = document["paths"]
    assert path == "/convert/pdf/to/protect"
    body = document["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]
    properties = body["schema"]["properties"]
    assert properties["EncryptionAlgorithm"]["enum"] == ["Aes256Bit"]
    assert properties["UserPassword"]["format"] == "password"
    assert properties["PrintDocument"]["x-ca-group"] == "Permissions"
    assert (await look(service, "/openapi/pdf/to/pcl")).status == 404


async def test_every_converter_can_be_described() -> None:
    """The validator takes seconds for all of them; what differs are the schemas of parameters."""
    for source, one in table.pairs():
        document = msgspec.json.encode(discovery.openapi(source, one.target, one))
        assert b'"properties":{"' in document
