"""The addresses of prices and money: quotes, checkouts, receipts, webhooks, staff's own."""

from typing import Annotated, Any

from msgspec import Meta

from engine import errors as engine
from gateway import errors as gateway
from gateway.api import billing, billing_fake, billing_staff, prices
from gateway.auth_routes import BODY_PROBLEMS, page
from gateway.billing.fake import CHECKOUT
from gateway.billing.invoices import Booking, Invoice, InvoiceRefund
from gateway.billing.webhooks import SIGNATURE
from gateway.endpoint import Access, Answer, Content, Endpoint, Handler, Parameter
from gateway.permissions import Permission
from ledger import errors as ledger

TAG = "billing"
_AWAY: tuple[type[Exception], ...] = (ledger.LedgerUnavailable,)
_REFERENCE = Parameter(
    name="reference", place="path", description="As GET /v1/billing/receipts lists it."
)
_HTML = Content(media_type="text/html", schema={"type": "string"})
_BOOKED: tuple[type[Exception], ...] = (
    *(ledger.AccountUnknown, ledger.AccountFrozen, ledger.ReferenceUsed),
)


def _read(
    path: str,
    handler: Handler,
    name: str,
    summary: str,
    answer: Answer,
    *,
    parameters: tuple[Parameter, ...] = (),
    problems: tuple[type[Exception], ...] = (),
) -> Endpoint:
    """A GET for keys and for members."""
    return Endpoint(
        method="GET",
        path=path,
        handler=handler,
        access=Access.MEMBER,
        permission=Permission.BILLING_READ,
        name=name,
        tag=TAG,
        summary=summary,
        parameters=parameters,
        answers=(answer,),
        problems=(*problems, *_AWAY),
    )


def _staff(  # noqa: PLR0917 -- a row of a table
    method: Any,
    path: str,
    handler: Handler,
    name: str,
    summary: str,
    answer: Answer,
    *,
    body: Any = None,
    parameters: tuple[Parameter, ...] = (),
    problems: tuple[type[Exception], ...] = (),
) -> Endpoint:
    """For staff of finance."""
    return Endpoint(
        method=method,
        path=f"/v1/staff/billing/{path}",
        handler=handler,
        access=Access.PERSON,
        permission=Permission.STAFF_BILLING,
        name=name,
        tag="staff",
        summary=summary,
        parameters=parameters,
        body=() if body is None else (Content(type=body),),
        answers=(answer,),
        problems=(*(() if body is None else BODY_PROBLEMS), *problems, *_AWAY),
    )


BILLING_ROUTES: tuple[Endpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/prices",
        handler=prices.show,
        access=Access.PUBLIC,
        permission=Permission.NONE,
        name="listPrices",
        tag=TAG,
        summary="What conversions cost in credits, and credits in money",
        answers=(page(prices.PricesPage, "All prices."),),
    ),
    Endpoint(
        method="POST",
        path="/v1/quote",
        handler=prices.quote,
        access=Access.PUBLIC,
        permission=Permission.NONE,
        name="quote",
        tag=TAG,
        summary="What a conversion, or several steps, would cost",
        description="Said as the conversion itself is. Where `bytes` is left out, `credits` is for "
        "the first step of sizes, and `sizes` has the others. With `source: auto` the file's bytes "
        "decide; then `credits` is the most that it can be.",
        body=(Content(type=prices.QuoteWanted),),
        answers=(page(prices.QuotePage, "The price."),),
        problems=(
            *BODY_PROBLEMS,
            engine.FormatUnknown,
            engine.ConversionUnsupported,
            engine.OptionInvalid,
            engine.SourceCountInvalid,
        ),
    ),
    _read(
        "/v1/billing",
        billing.show,
        "getBilling",
        "The account's credits, debts, and how it pays",
        page(billing.BillingPage, "All that is known of it."),
        problems=(ledger.AccountUnknown,),
    ),
    Endpoint(
        method="POST",
        path="/v1/billing/checkout",
        handler=billing.checkout,
        access=Access.PERSON,
        permission=Permission.BILLING_WRITE,
        name="beginCheckout",
        tag=TAG,
        summary="Where a pack of credits is paid",
        description="The provider is told a reference that means the account to us and nothing to "
        "anybody else. The credits come when it says that it was paid.",
        body=(Content(type=billing.CheckoutWanted),),
        answers=(page(billing.CheckoutPage, "Go there.", 201),),
        problems=(
            *BODY_PROBLEMS,
            gateway.BillingOff,
            gateway.PackUnknown,
            gateway.ProviderFailed,
            ledger.AccountUnknown,
            *_AWAY,
        ),
    ),
    _read(
        "/v1/billing/receipts",
        billing.list_receipts,
        "listReceipts",
        "What was bought, newest first",
        page(billing.ReceiptsPage, "A page of purchases."),
        parameters=(
            Parameter(
                name="limit",
                place="query",
                description="How many purchases a page holds.",
                type=Annotated[int, Meta(ge=1, le=billing.LIMIT_MAX)],
            ),
            Parameter(name="cursor", place="query", description="`next` of the page before."),
        ),
        problems=(gateway.RequestMalformed, ledger.OrderUnknown),
    ),
    _read(
        "/v1/billing/receipts/{reference}",
        billing.show_receipt,
        "getReceipt",
        "One purchase",
        page(billing.ReceiptItem, "As it is now, refunds included."),
        parameters=(_REFERENCE,),
        problems=(gateway.RequestMalformed, ledger.OrderUnknown),
    ),
    _read(
        "/v1/billing/receipts/{reference}/link",
        billing.link_receipt,
        "getReceiptLink",
        "Where the provider shows the receipt, for a while",
        page(billing.ReceiptLink, "Asked for at the provider at this moment, and kept nowhere."),
        parameters=(_REFERENCE,),
        problems=(gateway.RequestMalformed, gateway.ProviderFailed, ledger.OrderUnknown),
    ),
    Endpoint(
        method="PUT",
        path="/v1/account/low-balance",
        handler=billing.set_low_balance,
        access=Access.PERSON,
        permission=Permission.BILLING_WRITE,
        name="setLowBalance",
        tag=TAG,
        summary="Below which balance the account's members get a mail",
        body=(Content(type=billing.LowBalanceWanted),),
        answers=(page(billing.LowBalanceWanted, "As it is now."),),
        problems=(*BODY_PROBLEMS, ledger.AccountUnknown, *_AWAY),
    ),
    Endpoint(
        method="POST",
        path="/v1/billing/webhooks/{provider}",
        handler=billing.receive,
        access=Access.PUBLIC,
        permission=Permission.NONE,
        name="receiveBillingWebhook",
        tag=TAG,
        summary="For the payment provider: what was paid and what was paid back",
        description="The body is signed as a whole (HMAC-SHA256, hexadecimal). An answer of 200 "
        "means that it is in the books; the same body again changes nothing.",
        parameters=(
            Parameter(name="provider", place="path", description="As billing.provider names it."),
            Parameter(
                name=SIGNATURE, place="header", description="Of the raw body.", required=True
            ),
        ),
        body=(Content(schema={"type": "object"}),),
        answers=(page(billing.Received, "It need not be sent again."),),
        problems=(
            gateway.RouteUnknown,
            gateway.WebhookRefused,
            gateway.RequestMalformed,
            gateway.UploadTooLarge,
            gateway.UploadTooSlow,
            *_AWAY,
        ),
    ),
    Endpoint(
        method="GET",
        path=CHECKOUT,
        handler=billing_fake.show,
        access=Access.PUBLIC,
        permission=Permission.NONE,
        name="showFakeCheckout",
        tag=TAG,
        summary="A checkout that takes nothing; only where billing.provider is `fake`",
        answers=(Answer(status=200, description="A page with a button.", content=(_HTML,)),),
        problems=(gateway.RouteUnknown, gateway.RequestMalformed, gateway.PackUnknown),
    ),
    Endpoint(
        method="POST",
        path=CHECKOUT,
        handler=billing_fake.act,
        access=Access.PUBLIC,
        permission=Permission.NONE,
        name="useFakeCheckout",
        tag=TAG,
        summary="What the buttons of that page do",
        answers=(Answer(status=303, description="Done: go on there."),),
        problems=(
            *(gateway.RouteUnknown, gateway.RequestMalformed, gateway.PackUnknown),
            gateway.BillingOff,
            *_AWAY,
        ),
    ),
    _staff(
        "POST",
        "invoices",
        billing_staff.grant,
        "bookInvoice",
        "Book credits that were paid by an invoice, once for its number",
        page(billing.ReceiptItem, "Booked, now or before.", 201),
        body=Invoice,
        problems=_BOOKED,
    ),
    _staff(
        "POST",
        "refunds",
        billing_staff.refund,
        "refundInvoice",
        "Note what was paid back of an invoice, all refunds together",
        page(billing.ReceiptItem, "The same part of the credits is taken back."),
        body=InvoiceRefund,
        problems=(ledger.OrderUnknown,),
    ),
    _staff(
        "GET",
        "events",
        billing_staff.list_events,
        "listBillingEvents",
        "Events of the provider that wait for a purchase or for a person",
        page(billing_staff.EventsPage, "The oldest first."),
    ),
    _staff(
        "POST",
        "bookings",
        billing_staff.book_event,
        "bookBillingEvent",
        "Book a held order for an account",
        page(billing.ReceiptItem, "Booked.", 201),
        body=Booking,
        problems=(*_BOOKED, ledger.OrderUnknown),
    ),
    _staff(
        "DELETE",
        "events/{id}",
        billing_staff.close_event,
        "closeBillingEvent",
        "Note that an event waits for nobody any more",
        Answer(status=204, description="It is ignored from now on."),
        parameters=(Parameter(name="id", place="path", description="The event's number."),),
        problems=(ledger.OrderUnknown,),
    ),
    _staff(
        "GET",
        "debts",
        billing_staff.list_debts,
        "listDebts",
        "Credits that were refunded after they were spent",
        page(billing_staff.DebtsPage, "The oldest first."),
    ),
    _staff(
        "DELETE",
        "debts/{reference}",
        billing_staff.waive_debt,
        "waiveDebt",
        "Let a debt go",
        page(billing_staff.Waived, "So many credits."),
        parameters=(_REFERENCE,),
        problems=(ledger.OrderUnknown,),
    ),
    _staff(
        "POST",
        "reconciliations",
        billing_staff.reconcile,
        "reconcileBilling",
        "Compare the provider's orders with ours now",
        page(billing_staff.ReconciliationPage, "What differs."),
        parameters=(
            Parameter(
                name="days",
                place="query",
                description="How far back.",
                type=Annotated[int, Meta(ge=1, le=billing_staff.DAYS_MAX)],
            ),
        ),
        problems=(gateway.RequestMalformed, gateway.BillingOff, gateway.ProviderFailed),
    ),
)
