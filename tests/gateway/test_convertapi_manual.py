"""The printed surface is the one that runs: each address and parameter is on the page."""

import re
from pathlib import Path

from gateway.compat.convertapi import manual
from gateway.compat.convertapi.parameters import table
from gateway.routes import ROUTES

PAGE = Path(__file__).parents[2] / "docs" / "convertapi.md"


def test_the_committed_page_is_the_generated_one() -> None:
    assert PAGE.read_text(encoding="utf-8") == manual.page(), (
        "write it again: .venv/bin/python -m gateway.compat.convertapi.manual > docs/convertapi.md"
    )


def test_every_address_of_the_surface_is_on_the_page() -> None:
    listed = " ".join(address for address, _, _ in manual.ENDPOINTS)
    written = listed.replace("{from}", "{source}").replace("{to}", "{target}")
    missing = [
        row.path
        for row in ROUTES
        if row.tag == "convertapi" and re.sub(r"{converter}", "{name}", row.path) not in written
    ]
    assert missing == []


def test_every_parameter_of_every_converter_is_on_the_page_with_its_fate() -> None:
    page = manual.page()
    for one in table.COUNTERPARTS:
        heading = f"\n### {', '.join(one.sources)} to {one.target}\n"
        (section,) = page.split(heading)[1:]
        section = section.partition("\n#")[0]
        for parameter in one.parameters:
            status, how = manual.status_of(parameter)
            assert status in {"supported", "mapped", "partly", "refused"}
            assert how or status == "supported"
            assert f"| `{parameter.name}` |" in section


def test_the_page_counts_what_is_served() -> None:
    assert f"{manual.served()} are served" in manual.page()
    assert manual.served() == 214
