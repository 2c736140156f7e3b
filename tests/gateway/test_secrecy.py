"""Nothing that a customer sends reaches the log or the metrics, by any route."""

import aiohttp
import pytest

from tests.gateway.command import serving
from tests.gateway.samples import document, picture
from tests.postgres import Server, private_home

pytestmark = pytest.mark.asyncio(loop_scope="session")

CANARY = "canary7d1"


@pytest.mark.claim("C-LOG-1")
async def test_a_canary_sent_in_every_place_is_found_nowhere(postgres: Server) -> None:
    with private_home() as home:
        async with postgres.database() as name:
            with serving(home, "--database-url", postgres.dsn(name)) as service:
                key = service.key
                assert key
                metrics = await _sing(service.url, key)
            log = (home / "log").read_text()
    assert '"event": "request"' in log
    for place in (log, metrics):
        assert CANARY not in place
        assert key not in place
        assert "filename" not in place


async def _sing(url: str, key: str) -> str:
    headers = {"Authorization": f"Bearer {key}", "User-Agent": CANARY, "Idempotency-Key": CANARY}
    named = {"Content-Disposition": f'attachment; filename="{CANARY}.png"'}
    broken = {"Content-Disposition": f'attachment; filename="{CANARY}'}
    form = aiohttp.FormData()
    form.add_field(CANARY, picture(), filename=f"{CANARY}.png")
    locked = document(locked_by=CANARY)
    async with aiohttp.ClientSession(url, headers=headers) as client:
        for path, body, more in (
            ("/v1/convert/png/webp", picture(), named),
            ("/v1/convert/png/gif", picture(), broken),
            (f"/v1/convert/png/webp?{CANARY}={CANARY}", picture(), named),
            (f"/v1/convert/{CANARY}/webp", picture(), {}),
            (f"/v1/convert/pdf/txt?password={CANARY}", locked, {"Idempotency-Key": "a"}),
            (f"/v1/convert/pdf/txt?password=no{CANARY}", locked, {"Idempotency-Key": "b"}),
            ("/v1/convert/png/webp", CANARY.encode(), {}),
            ("/v1/convert/auto/webp", CANARY.encode() * 100, {}),
            ("/v1/convert/png/webp", form, {}),
            (f"/{CANARY}", CANARY.encode(), {}),
            ("/v1/formats", CANARY.encode(), {"Authorization": f"Bearer {CANARY}"}),
            ("/v1/account", b"", {"Expect": CANARY}),
            *_convertapi(key, named),
        ):
            async with client.post(path, data=body, headers=more) as response:
                await response.read()
        async with client.get("/metrics") as response:
            return await response.text()


def _convertapi(key: str, named: dict[str, str]) -> tuple[tuple[str, object, dict[str, str]], ...]:
    """The same in the places of the compatible surface, keys in the address among them."""
    nobody = {"Authorization": ""}
    form = {"File": CANARY, "Secret": key, CANARY: CANARY}
    return (
        (f"/convert/png/to/jpg?Secret={key}&{CANARY}={CANARY}", picture(), named | nobody),
        (f"/convert/png/to/jpg?Token={CANARY}&FileName={CANARY}", picture(), named | nobody),
        (f"/convert/pdf/to/jpg?Password={CANARY}x", document(locked_by=CANARY), named),
        (f"/convert/{CANARY}/to/{CANARY}?StoreFile={CANARY}", picture(), named),
        (f"/convert/png/to/jpg?File=https://{CANARY}.example/{CANARY}", b"", {}),
        ("/convert/png/to/jpg", form, nobody),
        (f"/upload?filename={CANARY}.txt", CANARY.encode(), nobody),
        (f"/upload-from-url?url=https://{CANARY}.example/", b"", {}),
        (f"/d/{CANARY}/{CANARY}", b"", {}),
    )
