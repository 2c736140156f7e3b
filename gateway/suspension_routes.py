"""The addresses at which staff shut accounts and keys out, and let them in again."""

from gateway import errors as gateway
from gateway.api import suspensions
from gateway.endpoint import Access, Answer, Content, Endpoint, Parameter
from gateway.permissions import Permission
from ledger import errors as ledger

_PATH = "/v1/staff/accounts/{account}/suspension"
_ACCOUNT = Parameter(name="account", place="path", description="The account's number.")
_PAGE = Answer(
    status=200,
    description="What of the account is shut out now.",
    content=(Content(type=suspensions.SuspensionsPage),),
)
_PROBLEMS: tuple[type[Exception], ...] = (
    ledger.AccountUnknown,
    ledger.KeyUnknown,
    ledger.LedgerUnavailable,
)

SUSPENSION_ROUTES: tuple[Endpoint, ...] = (
    Endpoint(
        method="GET",
        path=_PATH,
        handler=suspensions.show,
        access=Access.PERSON,
        permission=Permission.STAFF_ACCOUNTS_READ,
        name="getSuspensions",
        tag="staff",
        summary="What of an account is shut out",
        parameters=(_ACCOUNT,),
        answers=(_PAGE,),
        problems=(ledger.AccountUnknown, ledger.LedgerUnavailable),
    ),
    Endpoint(
        method="POST",
        path=_PATH,
        handler=suspensions.suspend,
        access=Access.PERSON,
        permission=Permission.STAFF_ACCOUNTS_SUSPEND,
        step_up=True,
        name="suspendAccount",
        tag="staff",
        summary="Shut an account out, or one of its keys",
        description="Within a second, everywhere. Its keys are refused, it spends nothing, its "
        "credits are kept; its owners and admins are told why by mail.",
        parameters=(_ACCOUNT,),
        body=(Content(type=suspensions.SuspensionWanted),),
        answers=(_PAGE,),
        problems=(
            *_PROBLEMS,
            gateway.RequestMalformed,
            gateway.UploadTooLarge,
            gateway.UploadTooSlow,
            gateway.MediaTypeUnsupported,
            ledger.SuspensionKnown,
        ),
    ),
    Endpoint(
        method="DELETE",
        path=_PATH,
        handler=suspensions.lift,
        access=Access.PERSON,
        permission=Permission.STAFF_ACCOUNTS_SUSPEND,
        step_up=True,
        name="unsuspendAccount",
        tag="staff",
        summary="Let it in again",
        parameters=(
            _ACCOUNT,
            Parameter(name="key", place="query", description="One API key alone."),
        ),
        answers=(_PAGE,),
        problems=(*_PROBLEMS, gateway.RequestMalformed, ledger.SuspensionUnknown),
    ),
)
