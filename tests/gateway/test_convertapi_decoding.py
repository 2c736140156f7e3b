"""What ConvertAPI's clients send, decoded: names, parameters, JSON and the answers they ask for."""

import base64
import ipaddress
import json

import pytest

from gateway.compat.convertapi import auth, general, names, visitors
from gateway.compat.convertapi.call import Part
from gateway.compat.convertapi.fields import FIELDS_MAX, Field, collected
from gateway.compat.convertapi.general import JSON, OCTETS, PARTS, General, answer_type, general_of
from gateway.compat.convertapi.references import handle_of
from gateway.compat.convertapi.request import of_json, of_urlencoded
from gateway.errors import ParametersInvalid, RequestMalformed, SurfaceRefused

ID = "0123456789abcdefghijklmnopqrstuv"


@pytest.mark.parametrize(
    ("header", "name"),
    [
        # Python 2.0.1
        ("attachment; filename*=UTF-8''t%C3%A9st%20%281%29.txt", "tést (1).txt"),
        # Ruby, as CGI escapes
        ('attachment; filename="test+space+a%C4%8Di%C5%AB.pdf"', "test space ačiū.pdf"),
        # Node and PHP
        ('attachment; filename="a b.docx"', "a b.docx"),
        ("attachment; filename=plain.docx", "plain.docx"),
        ('attachment; filename="quo\\"ted.txt"; size=3', 'quo"ted.txt'),
        ("attachment; filename=\"x.txt\"; filename*=utf-8''%C5%BE.txt", "ž.txt"),
        ("attachment; filename*=iso-8859-1'en'%A3.txt", "£.txt"),
        # Bytes that are no ASCII, as aiohttp hands them on: UTF-8, and Latin-1.
        (
            'attachment; filename="{}"'.format("é.txt".encode().decode("ascii", "surrogateescape")),
            "é.txt",
        ),
        (b'attachment; filename="\xe9.txt"'.decode("ascii", "surrogateescape"), "é.txt"),
        # A plus is a blank, as Ruby's client writes it, unless blanks are written otherwise.
        ("attachment; filename*=UTF-8''a+b.txt", "a b.txt"),
        ("attachment; filename*=UTF-8''a+b%20c.txt", "a+b c.txt"),
        ("attachment; filename*=koi8-r''%C1.txt; filename=y.txt", "y.txt"),
        ("attachment", None),
        ('attachment; filename=""', None),
        ("", None),
    ],
)
def test_a_name_is_read_however_its_client_writes_it(header: str, name: str | None) -> None:
    assert names.of_disposition(header) == name


def test_the_name_of_the_query_wins() -> None:
    headers = {"Content-Disposition": "attachment; filename=header.txt"}
    assert names.claimed({"FileName": "query.txt"}, headers) == "query.txt"
    assert names.claimed({"filename": " "}, headers) == "header.txt"
    assert names.claimed({}, {}) is None


@pytest.mark.parametrize(
    ("claimed", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\work\\ačiū.DOCX", "ačiū.DOCX"),
        ("a\r\nSet-Cookie: x.txt", "a__Set-Cookie_ x.txt"),
        (".htaccess", "htaccess"),
        ("..", "converted"),
        (None, "converted"),
        ("x.tar.gz", "x.tar.gz"),
    ],
)
def test_a_stored_name_has_no_path_and_no_tricks(claimed: str | None, safe: str) -> None:
    assert names.safe(claimed) == safe


@pytest.mark.parametrize(
    ("wanted", "source", "base"),
    [
        (None, "custom.docx", "custom"),
        (None, None, "converted"),
        ("report", "custom.docx", "report"),
        ("report.v2", "custom.docx", "report.v2"),
        ("report.PDF", "custom.docx", "report"),
        ("../up/report", "custom.docx", "report"),
    ],
)
def test_a_result_is_named_as_asked_or_after_its_file(
    wanted: str | None, source: str | None, base: str
) -> None:
    assert names.base_of(wanted, source, "pdf") == base


def test_a_result_has_the_extension_that_its_address_names() -> None:
    assert names.result_extension("tiff", "tiff") == "tiff"
    assert names.result_extension("jpg", "jpeg") == "jpg"
    assert names.result_extension("jfif", "jpeg") == "jfif"
    assert names.result_extension("merge", "pdf") == "pdf"
    assert names.results("a", "pdf", 1) == ["a.pdf"]
    assert names.results("a", "pdf", 2) == ["a_0.pdf", "a_1.pdf"]


def test_names_are_read_in_any_case_and_arrays_by_index_or_repetition() -> None:
    fields = collected(
        Field(name, value)
        for name, value in (
            ("Files[10]", "k"),
            ("files[2]", "b"),
            ("FILES", "z"),
            ("Files[0]", "a"),
            ("files", ""),
            ("PageRange", "1"),
            ("pagerange", "2"),
            ("Empty", ""),
            ("", "nameless"),
        )
    )
    assert fields.values == {
        "files": ["a", "b", "z", "k"],
        "pagerange": ["1", "2"],
        "empty": [""],
    }
    assert fields.spelled == {"files": "Files", "pagerange": "PageRange", "empty": "Empty"}
    assert fields.take("PAGERANGE") == "2"
    assert fields.take("PageRange") is None


@pytest.mark.parametrize("name", ["x" * 101, "y[999999999]" * 20])
def test_names_without_end_are_refused(name: str) -> None:
    with pytest.raises(ParametersInvalid):
        collected([Field(name, "1")])


def test_parameters_without_end_are_refused() -> None:
    with pytest.raises(ParametersInvalid):
        collected(Field(f"p{number}", "1") for number in range(FIELDS_MAX + 1))
    with pytest.raises(RequestMalformed):
        of_urlencoded("&".join(f"p{number}=1" for number in range(FIELDS_MAX + 2)))


def test_a_form_is_read_with_its_empty_values() -> None:
    assert of_urlencoded("File=a%20b&Timeout=&x=%C5%BE+y") == [
        Field("File", "a b"),
        Field("Timeout", ""),
        Field("x", "ž y"),
    ]


def test_json_is_read_as_text_and_files() -> None:
    data = base64.b64encode(b"bytes").decode()
    body = {
        "Parameters": [
            {"Name": "File", "FileValue": {"Name": "a.docx", "Data": data}},
            {"Name": "Files", "FileValues": [{"Id": ID}, {"Url": "https://a.example/b"}]},
            {"Name": "StoreFile", "Value": True},
            {"Name": "Quality", "Value": 12},
            {"Name": "Ratio", "Value": 1.5},
            {"Name": "Pages", "Values": ["1", 2]},
            {"Name": "Nothing", "Value": None},
        ]
    }
    fields = of_json(json.dumps(body).encode())
    assert isinstance(fields[0].value, Part)
    assert (fields[0].value.body, fields[0].value.name) == (bytearray(b"bytes"), "a.docx")
    assert [(field.name, field.value) for field in fields[1:]] == [
        ("Files", ID),
        ("Files", "https://a.example/b"),
        ("StoreFile", "true"),
        ("Quality", "12"),
        ("Ratio", "1.5"),
        ("Pages", "1"),
        ("Pages", "2"),
    ]
    assert "bytes" not in repr(fields[0].value).replace("5 bytes", "")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 4002),
        (b"[]", 4002),
        (b'{"Parameters": 1}', 4002),
        (b'{"Parameters": [{"Value": 1}]}', 4002),
        (b"\xff{}", 4002),
        (b"[" * 100_000, 4002),
        (b'{"Parameters": [{"Name": "File", "FileValue": {"Name": "a", "Data": "%%"}}]}', 4005),
        (b'{"Parameters": [{"Name": "File", "FileValue": {"Name": "a"}}]}', 4005),
    ],
)
def test_json_that_is_none_has_its_codes(body: bytes, code: int) -> None:
    with pytest.raises(SurfaceRefused) as caught:
        of_json(body)
    assert caught.value.code == code


def settings(**given: str) -> General:
    return general_of(collected(Field(name, value) for name, value in given.items()))


def test_general_parameters_are_taken_out_of_the_others() -> None:
    fields = collected(
        Field(name, value)
        for name, value in (
            ("Timeout", "10"),
            ("StoreFile", "True"),
            ("FileName", " a "),
            ("Download", "Inline"),
            ("JobId", ID),
            ("WebHook", "https://a.example"),
            ("Secret", "s"),
            ("Token", "t"),
            ("ApiKey", "1"),
            ("PageRange", "1"),
        )
    )
    assert general_of(fields) == General(
        timeout_s=10,
        file_name="a",
        store=True,
        download="inline",
        job_id=ID,
        webhook="https://a.example",
    )
    assert fields.values == {"pagerange": ["1"]}


def test_what_is_empty_counts_as_left_out() -> None:
    assert settings(Timeout="", StoreFile="", FileName="", download="") == General()


def test_a_job_of_the_old_kind_is_refused() -> None:
    with pytest.raises(ParametersInvalid) as caught:
        settings(Async="True")
    assert set(caught.value.parameters) == {"Async"}
    assert settings(Async="false") == General()


@pytest.mark.parametrize("timeout", ["9", "1201", "-10", "1e3", "٣٣", "10.5", "9" * 400])
def test_a_timeout_that_cannot_be_is_refused(timeout: str) -> None:
    with pytest.raises(ParametersInvalid) as caught:
        settings(Timeout=timeout, StoreFile="maybe", download="x", FileName="y" * 256)
    assert set(caught.value.parameters) == {"Timeout", "StoreFile", "download", "FileName"}


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("application/json, text/plain, */*", JSON),
        ("application/octet-stream", OCTETS),
        ("Application/Octet-Stream;q=0.9, */*", OCTETS),
        ("text/html, multipart/mixed", PARTS),
        ("application/xml", JSON),
    ],
)
def test_accept_says_what_the_answer_is_made_of(accept: str, kind: str) -> None:
    assert answer_type(accept, General()) == kind
    assert answer_type(accept, General(download="inline")) == OCTETS


@pytest.mark.parametrize(
    ("accept", "plain"),
    [
        (None, True),
        ("", True),
        ("text/plain", True),
        ("text/plain, */*", True),
        ("*/*", False),
        ("application/json, text/plain, */*", False),
        ("text/html", False),
    ],
)
def test_an_upload_is_answered_by_its_id_alone_where_nothing_else_is_asked(
    accept: str | None, *, plain: bool
) -> None:
    assert general.wants_plain(accept) is plain


@pytest.mark.parametrize(
    ("text", "handle"),
    [
        (ID, ID),
        (f"http://here/d/{ID}", ID),
        (f"HTTPS://v2.convertapi.com/d/{ID}/name.pdf?download=inline", ID),
        (f"https://here/x/d/{ID}", None),
        (f"https://here/d/{ID}/a/b", None),
        (f"/d/{ID}", None),
        (f"ftp://here/d/{ID}", None),
        ("https://[", None),
        (ID.upper(), None),
    ],
)
def test_an_id_and_an_address_of_ours_name_a_stored_file(text: str, handle: str | None) -> None:
    assert handle_of(text) == handle


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ],
)
def test_a_household_is_counted_as_one(address: str, counted: str) -> None:
    assert visitors.network_of(ipaddress.ip_address(address)) == counted


def test_credentials_are_not_shown() -> None:
    assert "hidden" not in repr(auth.Credentials("secret", "hidden"))
