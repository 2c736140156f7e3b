"""The addresses of people: the door, sessions, and what they change of themselves."""

from typing import Any

from gateway import errors as gateway
from gateway.api import auth, person, sessions
from gateway.endpoint import Access, Answer, Content, Endpoint, Handler, Parameter
from gateway.permissions import Permission
from ledger import errors as ledger

TAG = "people"
BODY_PROBLEMS: tuple[type[Exception], ...] = (
    gateway.RequestMalformed,
    gateway.UploadTooLarge,
    gateway.UploadTooSlow,
    gateway.MediaTypeUnsupported,
)
_MAILED: tuple[type[Exception], ...] = (gateway.TooManyTries, ledger.OutboxFull)
_CHOSEN: tuple[type[Exception], ...] = (
    *(ledger.LinkUnknown, gateway.PasswordRefused),
    *(gateway.TooManyTries, gateway.HashingBusy),
)
_PROVED: tuple[type[Exception], ...] = (
    *(gateway.SignInRefused, gateway.CodeWanted, gateway.CodeRefused),
    *(gateway.TooManyTries, gateway.HashingBusy),
)
DONE = Answer(status=204, description="It is so from now on.")
_SENT = Answer(
    status=202,
    description="The same for every address: a mail says the rest to who reads it.",
    content=(Content(type=auth.Sent),),
)
_SIGNED_IN = "Signed in. The secret is shown this once."


def page(type_: Any, description: str, status: int = 200) -> Answer:
    """An answer that is a JSON document."""
    return Answer(status=status, description=description, content=(Content(type=type_),))


def _open(
    path: str,
    handler: Handler,
    name: str,
    summary: str,
    body: Any,
    *,
    answer: Answer,
    problems: tuple[type[Exception], ...],
    description: str = "",
) -> Endpoint:
    """A POST for everybody."""
    return Endpoint(
        method="POST",
        path=path,
        handler=handler,
        access=Access.PUBLIC,
        permission=Permission.NONE,
        name=name,
        tag=TAG,
        summary=summary,
        description=description,
        body=(Content(type=body),),
        answers=(answer,),
        problems=(*BODY_PROBLEMS, *problems, ledger.LedgerUnavailable),
    )


def _own(
    method: Any,
    path: str,
    handler: Handler,
    name: str,
    summary: str,
    *,
    body: Any = None,
    answer: Answer = DONE,
    problems: tuple[type[Exception], ...] = (),
    step_up: bool = False,
    description: str = "",
    parameters: tuple[Parameter, ...] = (),
) -> Endpoint:
    """Something that people who have signed in do about themselves."""
    return Endpoint(
        method=method,
        path=path,
        handler=handler,
        access=Access.PERSON,
        permission=Permission.SELF,
        step_up=step_up,
        name=name,
        tag=TAG,
        summary=summary,
        description=description,
        parameters=parameters,
        body=() if body is None else (Content(type=body),),
        answers=(answer,),
        problems=(
            *(BODY_PROBLEMS if body is not None else ()),
            *problems,
            ledger.LedgerUnavailable,
        ),
    )


AUTH_ROUTES: tuple[Endpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/auth/signup",
        handler=auth.begin_sign_up,
        access=Access.PUBLIC,
        permission=Permission.NONE,
        name="beginSignUp",
        tag=TAG,
        summary="Whether one may sign up, and the proof of work that it takes",
        answers=(page(auth.SignUpPage, "One may."),),
        problems=(gateway.SignUpClosed,),
    ),
    _open(
        *("/v1/auth/signup", auth.sign_up, "signUp", "Ask for an account", auth.SignUp),
        answer=_SENT,
        problems=(gateway.SignUpClosed, gateway.ProofRefused, *_MAILED),
        description="A mail brings a link with which the password is chosen. To somebody who is"
        " here already it says so.",
    ),
    _open(
        *("/v1/auth/signup/confirm", auth.confirm_sign_up, "confirmSignUp"),
        *("Use the link of that mail: choose a password, and be in", auth.SignUpConfirmation),
        answer=page(auth.SignedInPage, _SIGNED_IN, 201),
        problems=_CHOSEN,
        description="Makes the person, and an account that the person owns.",
    ),
    _open(
        *("/v1/auth/invitation", auth.accept_as_new, "acceptInvitationAsNew"),
        *("Take up an invitation as somebody new", auth.SignUpConfirmation),
        answer=page(auth.SignedInPage, _SIGNED_IN, 201),
        problems=(*_CHOSEN, ledger.AddressKnown, ledger.MembersExceeded),
    ),
    Endpoint(
        method="GET",
        path="/v1/auth/signin",
        handler=auth.begin_sign_in,
        access=Access.PUBLIC,
        permission=Permission.NONE,
        name="beginSignIn",
        tag=TAG,
        summary="A proof of work for a sign-in that would have to wait",
        description="Only where the answer was 429 (`too-many-tries`): somebody guesses at the same"
        " address from elsewhere.",
        answers=(page(auth.SignInPage, "To be solved, and sent along."),),
    ),
    _open(
        *("/v1/auth/signin", auth.sign_in, "signIn", "Sign in", auth.SignIn),
        answer=page(auth.SignedInPage, _SIGNED_IN),
        problems=(*_PROVED, gateway.ProofRefused),
        description="Keep `device` and send it with the next sign-in from here: then strangers who"
        " guess at your password cannot keep you waiting.",
    ),
    _open(
        *("/v1/auth/reset", auth.ask_reset, "askReset", "Forget a password", auth.AddressAsked),
        answer=_SENT,
        problems=_MAILED,
    ),
    _open(
        *("/v1/auth/reset/confirm", auth.reset, "resetPassword"),
        *("Use the link of that mail: set a password anew", auth.PasswordReset),
        answer=page(auth.KnownDevice, "Set; all sessions are over. Sign in with `device`."),
        problems=_CHOSEN,
    ),
    _open(
        *("/v1/auth/address/confirm", auth.change_address, "confirmAddress"),
        *("Use the link of a mail: have its address from now on", auth.LinkShown),
        answer=DONE,
        problems=(ledger.LinkUnknown, gateway.TooManyTries, ledger.OutboxFull),
    ),
    Endpoint(
        method="GET",
        path="/v1/auth/links/{link}",
        handler=auth.show_link,
        access=Access.PUBLIC,
        permission=Permission.NONE,
        name="getLink",
        tag=TAG,
        summary="What the link of a mail is for; looking does not use it up",
        parameters=(Parameter(name="link", place="path", description="`eph_link_…`."),),
        answers=(page(auth.LinkPage, "What it is for."),),
        problems=(ledger.LinkUnknown, gateway.TooManyTries, ledger.LedgerUnavailable),
    ),
    _own(
        *("GET", "/v1/auth/session", sessions.show, "getSession"),
        "Who is signed in, for which account, and what that allows",
        answer=page(sessions.SessionPage, "The session."),
    ),
    _own(
        *("DELETE", "/v1/auth/session", sessions.sign_out, "signOut", "Sign out"),
        problems=(ledger.SessionUnknown,),
    ),
    _own(
        *("POST", "/v1/auth/session/account", sessions.choose_account, "chooseAccount"),
        "Act for another account of one's own",
        body=sessions.AccountChosen,
        answer=page(sessions.SessionPage, "The session."),
        problems=(ledger.SessionUnknown,),
    ),
    _own(
        *("POST", "/v1/auth/step-up", sessions.step_up, "stepUp"),
        "Show the password once more, for what is dangerous",
        body=sessions.StepUp,
        answer=page(auth.BegunSession, "Good for ten minutes. The session has another secret."),
        problems=(*_PROVED, ledger.SessionUnknown),
    ),
    _own(
        *("GET", "/v1/auth/sessions", sessions.list_sessions, "listSessions"),
        "Where one is signed in",
        answer=page(sessions.SessionsPage, "All sessions that are not over."),
    ),
    _own(
        *("DELETE", "/v1/auth/sessions", sessions.end_others, "endOtherSessions"),
        "Sign out everywhere else",
    ),
    _own(
        *("DELETE", "/v1/auth/sessions/{id}", sessions.end, "endSession"),
        "Sign out somewhere else",
        problems=(ledger.SessionUnknown,),
        parameters=(Parameter(name="id", place="path", description="The session's id."),),
    ),
    _own(
        *("POST", "/v1/auth/password", person.change_password, "changePassword"),
        "Change the password",
        body=person.NewPassword,
        problems=(gateway.PasswordRefused, gateway.HashingBusy),
        step_up=True,
        description="All other sessions are over, and no device is known any more.",
    ),
    _own(
        *("POST", "/v1/auth/address", person.ask_address, "changeAddress"),
        "Change the address",
        body=auth.AddressAsked,
        answer=_SENT,
        problems=_MAILED,
        step_up=True,
        description="The new address is asked to confirm it; the old one is told when it has.",
    ),
    _own(
        *("POST", "/v1/auth/name", person.rename, "renamePerson", "Change the name"),
        body=person.PersonName,
    ),
    _own(
        *("GET", "/v1/auth/totp", person.show_factor, "getSecondFactor"),
        "Whether there is a second factor",
        answer=page(person.FactorPage, "Whether there is one."),
    ),
    _own(
        *("POST", "/v1/auth/totp", person.propose_totp, "proposeSecondFactor"),
        "A seed for an authenticator (TOTP)",
        answer=page(person.SeedPage, "It counts once a code of it was shown.", 201),
        step_up=True,
    ),
    _own(
        *("POST", "/v1/auth/totp/confirm", person.confirm_totp, "confirmSecondFactor"),
        "Show a code of it: from now on one is asked for",
        body=person.CodeShown,
        answer=page(person.ConfirmedPage, "It counts. Keep the recovery codes."),
        problems=(
            *(gateway.CodeRefused, gateway.TooManyTries),
            *(ledger.FactorUnknown, ledger.SessionUnknown),
        ),
        step_up=True,
    ),
    _own(
        *("DELETE", "/v1/auth/totp", person.drop_totp, "dropSecondFactor"),
        "Ask for no second factor any more",
        problems=(ledger.FactorUnknown, ledger.FactorWanted),
        step_up=True,
    ),
    _own(
        *("POST", "/v1/auth/recovery-codes", person.renew_recovery_codes, "renewRecoveryCodes"),
        "Replace all recovery codes",
        answer=page(person.RecoveryCodesPage, "Shown this once.", 201),
        problems=(ledger.FactorUnknown,),
        step_up=True,
    ),
    _own(
        *("POST", "/v1/auth/invitations", person.accept_invitation, "acceptInvitation"),
        "Take up an invitation",
        body=auth.LinkShown,
        answer=page(person.JoinedPage, "A member from now on.", 201),
        problems=(ledger.LinkUnknown, ledger.MembersExceeded),
    ),
    _own(
        *("DELETE", "/v1/auth/accounts/{account_id}", person.leave, "leaveAccount"),
        "Be no member of an account any more",
        problems=(ledger.MemberUnknown, ledger.OwnerWanted),
        parameters=(Parameter(name="account_id", place="path", description="The account's id."),),
    ),
)
