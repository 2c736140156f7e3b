"""The addresses of webhooks: endpoints, their secrets, and the log of their calls."""

from gateway import errors as gateway
from gateway.api import hooks
from gateway.endpoint import Access, Answer, Content, Endpoint, Parameter
from gateway.permissions import Permission
from gateway.task_routes import CURSOR, limit_of
from ledger import errors as ledger

_HOOK = Parameter(name="id", place="path", description="The endpoint's `id`.")

HOOK_ROUTES: tuple[Endpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/webhooks",
        handler=hooks.create,
        access=Access.CUSTOMER,
        permission=Permission.HOOKS,
        name="createWebhook",
        tag="webhooks",
        summary="An address that hears how tasks end",
        description="Calls are signed as Standard Webhooks 1.0.0 wants it. The secret in the "
        "answer is given this once.",
        body=(Content(type=hooks.NewHook),),
        answers=(
            Answer(
                status=201,
                description="The endpoint.",
                content=(Content(type=hooks.HookMade),),
                headers=(("Location", "The endpoint."),),
            ),
        ),
        problems=(
            gateway.RequestMalformed,
            gateway.UploadTooLarge,
            gateway.FetchRefused,
            gateway.HooksOff,
            ledger.HooksExceeded,
            ledger.LedgerUnavailable,
        ),
    ),
    Endpoint(
        method="GET",
        path="/v1/webhooks",
        handler=hooks.list_hooks,
        access=Access.CUSTOMER,
        permission=Permission.HOOKS,
        name="listWebhooks",
        tag="webhooks",
        summary="The account's endpoints",
        answers=(Answer(status=200, description="All.", content=(Content(type=hooks.HooksPage),)),),
        problems=(ledger.LedgerUnavailable,),
    ),
    Endpoint(
        method="GET",
        path="/v1/webhooks/{id}",
        handler=hooks.show,
        access=Access.CUSTOMER,
        permission=Permission.HOOKS,
        name="getWebhook",
        tag="webhooks",
        summary="One endpoint",
        parameters=(_HOOK,),
        answers=(Answer(status=200, description="It.", content=(Content(type=hooks.HookItem),)),),
        problems=(ledger.HookUnknown, ledger.LedgerUnavailable),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/webhooks/{id}",
        handler=hooks.delete,
        access=Access.CUSTOMER,
        permission=Permission.HOOKS,
        name="deleteWebhook",
        tag="webhooks",
        summary="Delete an endpoint, its log, and what it was still to hear",
        parameters=(_HOOK,),
        answers=(Answer(status=204, description="There is no such endpoint of this account."),),
        problems=(ledger.LedgerUnavailable,),
    ),
    Endpoint(
        method="POST",
        path="/v1/webhooks/{id}/rotate",
        handler=hooks.rotate,
        access=Access.CUSTOMER,
        permission=Permission.HOOKS,
        name="rotateWebhookSecret",
        tag="webhooks",
        summary="A new secret",
        description="For a day calls are signed with the old one as well.",
        parameters=(_HOOK,),
        answers=(
            Answer(
                status=200,
                description="The endpoint and its new secret, which is given this once.",
                content=(Content(type=hooks.HookMade),),
            ),
        ),
        problems=(ledger.HookUnknown, ledger.LedgerUnavailable),
    ),
    Endpoint(
        method="POST",
        path="/v1/webhooks/{id}/enable",
        handler=hooks.enable,
        access=Access.CUSTOMER,
        permission=Permission.HOOKS,
        name="enableWebhook",
        tag="webhooks",
        summary="Call an endpoint again that was disabled",
        parameters=(_HOOK,),
        answers=(
            Answer(
                status=200,
                description="The endpoint. What was dropped meanwhile is sent by a replay.",
                content=(Content(type=hooks.HookItem),),
            ),
        ),
        problems=(ledger.HookUnknown, ledger.LedgerUnavailable),
    ),
    Endpoint(
        method="GET",
        path="/v1/webhooks/{id}/deliveries",
        handler=hooks.list_deliveries,
        access=Access.CUSTOMER,
        permission=Permission.HOOKS,
        name="listDeliveries",
        tag="webhooks",
        summary="What an endpoint was told, and how it answered",
        parameters=(_HOOK, limit_of(hooks.LIMIT_MAX), CURSOR),
        answers=(
            Answer(
                status=200,
                description="A page of deliveries.",
                content=(Content(type=hooks.DeliveriesPage),),
            ),
        ),
        problems=(gateway.RequestMalformed, ledger.HookUnknown, ledger.LedgerUnavailable),
    ),
    Endpoint(
        method="POST",
        path="/v1/webhooks/{id}/deliveries/{delivery}/replay",
        handler=hooks.replay,
        access=Access.CUSTOMER,
        permission=Permission.HOOKS,
        name="replayDelivery",
        tag="webhooks",
        summary="Send an event again",
        description="Under its old `webhook-id`, with a schedule of retries from its beginning.",
        parameters=(
            _HOOK,
            Parameter(name="delivery", place="path", description="The delivery's `id`."),
        ),
        answers=(
            Answer(
                status=202,
                description="It is sent soon.",
                content=(Content(type=hooks.DeliveryItem),),
            ),
        ),
        problems=(ledger.DeliveryUnknown, ledger.LedgerUnavailable),
    ),
)
