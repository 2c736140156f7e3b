"""The checkout of the provider that takes nothing: a page with buttons, which send signed webhooks.

There only where billing.provider is `fake`, which a production configuration refuses.
"""

from html import escape
from urllib.parse import urlencode

from aiohttp import hdrs, web

from gateway.api.billing import desk_of
from gateway.billing.fake import CHECKOUT, Fake, Signed, Sold
from gateway.errors import RequestMalformed, RouteUnknown
from ledger.billing.billing import money

# No script, no style from elsewhere, no form to anywhere else.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
_PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Checkout that takes nothing</title>
<style>body{{font:16px/1.5 sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem}}
form{{display:inline}}</style></head>
<body><h1>Checkout</h1><p>This page stands in for a payment provider. It takes no money.</p>
{body}
</body></html>
"""
_BUTTON = '<form method="post" action="{action}"><button>{label}</button></form>\n'
# What a button does to an order: the part of the price that is paid back, in hundredths.
REFUNDS = {"refund-half": 50, "refund-all": 100}


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /v1/billing/fake/checkout`."""
    fake = _fake(request)
    if "order" in request.query:
        return _page(_order(fake.sold(request.query["order"])))
    pack = fake.pack(request.query.get("pack", ""))
    query = {name: request.query.get(name, "") for name in ("pack", "reference", "return")}
    pay = _BUTTON.format(action=escape(_action("buy", **query)), label="Pay")
    price = money(pack.amount, pack.currency)
    return _page(f"<p>{escape(pack.title)}: {pack.credits} credits for {price}.</p>\n{pay}")


async def act(request: web.Request) -> web.StreamResponse:
    """`POST /v1/billing/fake/checkout`: what its buttons do."""
    fake, asked = _fake(request), request.query.get("act", "")
    if asked == "buy":
        query = request.query
        sold, signed = fake.buy(query.get("pack", ""), query.get("reference", ""))
    elif asked in REFUNDS:
        sold = fake.sold(request.query.get("order", ""))
        signed = fake.refund(sold.id, sold.pack.amount * REFUNDS[asked] // 100)
    else:
        raise RequestMalformed("this page has no such button")
    await _send(request, signed)
    back = request.query.get("return", "")
    target = back if asked == "buy" and back == desk_of(request).config.return_url else ""
    location = target or f"{CHECKOUT}?{urlencode({'order': sold.id})}"
    return web.Response(status=303, headers={hdrs.LOCATION: location})


async def _send(request: web.Request, signed: Signed) -> None:
    """As the provider would: the bytes and their signature, through the door of webhooks."""
    await desk_of(request).receive(signed.body, signed.headers)


def _fake(request: web.Request) -> Fake:
    provider = desk_of(request).provider
    if not isinstance(provider, Fake):
        raise RouteUnknown("there is nothing at this address; see /openapi.json")
    return provider


def _order(sold: Sold) -> str:
    paid = money(sold.pack.amount, sold.pack.currency)
    back = money(sold.refunded, sold.pack.currency)
    buttons = "".join(
        _BUTTON.format(action=escape(_action(name, order=sold.id)), label=name.replace("-", " "))
        for name, part in REFUNDS.items()
        if sold.refunded < sold.pack.amount * part // 100
    )
    return f"<p>Order {escape(sold.id)}: {paid} paid, {back} paid back.</p>\n{buttons}"


def _action(name: str, **query: str) -> str:
    return f"{CHECKOUT}?{urlencode({'act': name, **query})}"


def _page(body: str) -> web.Response:
    return web.Response(
        text=_PAGE.format(body=body),
        content_type="text/html",
        headers={"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"},
    )
