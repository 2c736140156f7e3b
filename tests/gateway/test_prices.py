"""Prices as data, quotes that agree with what is charged, and a client's own limit."""

from typing import Any

import pytest
import pytest_asyncio

from gateway import pricing
from gateway.pricing import MIB
from tests.gateway.samples import picture
from tests.gateway.service import Customer, Reply, Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

PNG = picture()
WEIGHT = pricing.WEIGHTS["image.convert"]


@pytest_asyncio.fixture(loop_scope="session")
async def rich(service: Service) -> Customer:
    return await service.customer(opening=1000)


async def quote(service: Service, **wanted: Any) -> Reply:
    return await service.ask("POST", "/v1/quote", json=wanted)


async def test_the_price_list_is_the_table_that_conversions_are_priced_with(
    service: Service,
) -> None:
    page = (await service.ask("GET", "/v1/prices")).json
    assert {one["name"]: one["credits"] for one in page["converters"]} == pricing.WEIGHTS
    assert [step["factor"] for step in page["size_steps"]] == [1, 2, 4]
    assert page["inspection"] == pricing.INSPECTION
    assert (page["packs"], page["checkout"]) == ([], False)


async def test_a_quote_is_what_the_conversion_costs(service: Service, rich: Customer) -> None:
    said = (await quote(service, source="png", target="webp", bytes=len(PNG))).json
    assert (said["credits"], said["exact"]) == (WEIGHT, True)
    done = await service.convert("png/webp", PNG, rich)
    assert int(done.headers["X-Credits-Used"]) == said["credits"]


async def test_a_quote_grows_with_the_size(service: Service) -> None:
    said = (await quote(service, source="png", target="webp", bytes=30 * MIB)).json
    assert said["credits"] == 2 * WEIGHT
    unsized = (await quote(service, source="png", target="webp", pages=3)).json
    assert (unsized["credits"], unsized["exact"]) == (WEIGHT, False)
    assert [size["credits"] for size in unsized["sizes"]] == [WEIGHT, 2 * WEIGHT, 4 * WEIGHT]


async def test_a_quote_of_steps_is_what_the_pipeline_costs(
    service: Service, rich: Customer
) -> None:
    steps = [{"target": "bmp"}, {"target": "webp", "options": {"width": "8"}}]
    said = (await quote(service, source="png", steps=steps, bytes=len(PNG))).json
    assert [step["target"] for step in said["steps"]] == ["bmp", "webp"]
    assert said["credits"] == sum(step["credits"] for step in said["steps"])
    done = await service.ask(
        "POST",
        "/v1/pipelines?source=png&step=bmp&step=webp&width=8",
        data=PNG,
        headers=rich.headers,
    )
    assert int(done.headers["X-Credits-Used"]) == said["credits"]


async def test_a_quote_of_any_file_is_the_most_that_it_can_be(service: Service) -> None:
    said = (await quote(service, source="auto", target="webp", bytes=5)).json
    assert said["credits"] >= WEIGHT
    assert said["steps"][0]["converter"] is None


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"source": "nothing", "target": "webp"}, "format-unknown"),
        ({"source": "png", "target": "webp", "options": {"widht": "1"}}, "option-invalid"),
        ({"source": "png", "target": "webp", "options": {"operation": "x"}}, "option-invalid"),
        ({"source": "png", "target": "mp3"}, "conversion-unsupported"),
        ({"source": "png"}, "option-invalid"),
        ({"source": "png", "target": "webp", "steps": [{"target": "bmp"}]}, "option-invalid"),
        ({"source": "png", "target": "webp", "bytes": -1}, "malformed-request"),
        ({"source": "png", "target": "webp", "bytes": 2**60}, "malformed-request"),
        ({"source": "png", "target": "webp", "pgaes": 1}, "malformed-request"),
        ({"source": "png", "steps": [{"target": "bmp"}] * 11}, "malformed-request"),
        ({"source": "png", "target": "webp", "files": 0}, "malformed-request"),
    ],
)
async def test_what_cannot_be_converted_has_no_price(
    service: Service, wanted: dict[str, Any], code: str
) -> None:
    said = await quote(service, **wanted)
    assert (said.status < 500, said.json["code"]) == (True, code)


@pytest.mark.parametrize(
    "path",
    ["convert/png/webp", "pipelines?source=png&step=bmp&step=webp", "batch/png/webp",
     "tasks/png/webp"],
)  # fmt: skip
async def test_what_costs_more_than_allowed_is_refused_before_the_body(
    service: Service, rich: Customer, path: str
) -> None:
    headers = [f"Authorization: Bearer {rich.key}", "X-Max-Credits: 0", "Content-Length: 5000"]
    if path.startswith("batch"):
        headers.append("Content-Type: multipart/form-data; boundary=x")
    head = [f"POST /v1/{path} HTTP/1.1", "Host: test", "Expect: 100-continue", *headers, "", ""]
    async with await service.open() as wire:
        await wire.send("\r\n".join(head).encode())
        said = await wire.answer()
    assert (said.status, said.json["code"]) == (402, "price-above-limit")
    assert await service.kinds(rich) == []


async def test_the_size_that_the_head_tells_counts(service: Service, rich: Customer) -> None:
    async with await service.open() as wire:
        await wire.post(
            *("bmp/webp", rich, "Expect: 100-continue"),
            *(f"X-Max-Credits: {WEIGHT}", f"Content-Length: {26 * MIB}"),
        )
        said = await wire.answer()
    assert (said.status, said.json["code"]) == (402, "price-above-limit")
    assert f"costs {2 * WEIGHT} credits" in said.json["detail"]


async def test_where_the_head_does_not_tell_it_is_refused_before_the_debit(
    service: Service, rich: Customer
) -> None:
    said = await service.convert("auto/webp", PNG, rich, {"X-Max-Credits": "0"})
    assert (said.status, said.json["code"]) == (402, "price-above-limit")
    said = await service.ask(
        "POST", "/v1/inspect", data=PNG, headers=rich.headers | {"X-Max-Credits": "0"}
    )
    assert (said.status, said.json["code"]) == (402, "price-above-limit")
    assert await service.kinds(rich) == []


async def test_what_costs_as_much_as_allowed_is_done(service: Service, rich: Customer) -> None:
    done = await service.convert("png/webp", PNG, rich, {"X-Max-Credits": str(WEIGHT)})
    assert done.status == 200


async def test_a_task_keeps_its_limit_until_its_price_is_known(
    service: Service, rich: Customer
) -> None:
    taken = await service.ask(
        "POST",
        "/v1/tasks/auto/webp",
        data=PNG,
        headers=rich.headers | {"X-Max-Credits": "0"},
    )
    assert taken.status == 202
    ended = await service.ask(
        "GET", taken.headers["Location"], headers=rich.headers | {"Prefer": "wait=30"}
    )
    assert ended.json["state"] == "failed"
    assert ended.json["problem"]["code"] == "price-above-limit"
    assert await service.kinds(rich) == []


async def test_a_limit_counts_for_all_files_of_a_batch_together(
    service: Service, rich: Customer
) -> None:
    form = "".join(
        f'--x\r\nContent-Disposition: form-data; name="file"; filename="{number}.png"\r\n\r\n'
        for number in range(3)
    ).split("\r\n\r\n")[:-1]
    body = b"".join(part.encode() + b"\r\n\r\n" + PNG + b"\r\n" for part in form) + b"--x--\r\n"
    said = await service.ask(
        "POST",
        "/v1/batch/png/webp",
        data=body,
        headers=rich.headers
        | {
            "Content-Type": "multipart/form-data; boundary=x",
            "X-Max-Credits": str(2 * WEIGHT),
        },
    )
    assert said.status == 200
    assert int(said.headers["X-Credits-Used"]) == 2 * WEIGHT
    assert await service.kinds(rich) == ["consumption"] * 2


@pytest.mark.parametrize("limit", ["", "-1", "1.5", "many", "9" * 16, "²"])
async def test_a_limit_that_is_no_number_is_refused(
    service: Service, rich: Customer, limit: str
) -> None:
    said = await service.convert("png/webp", PNG, rich, {"X-Max-Credits": limit})
    assert (said.status, said.json["code"]) == (400, "malformed-request")
