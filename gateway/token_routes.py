"""The addresses of API keys and tokens: what each accepts, answers and can refuse."""

from gateway import errors as gateway
from gateway.api import keys, tokens
from gateway.endpoint import Access, Answer, Content, Endpoint, Parameter
from gateway.permissions import Permission
from gateway.tokens.ring import PublishedKeys
from ledger import errors as ledger

_ID = Parameter(name="id", place="path", description="The key's id, or its prefix.")
_BODY_PROBLEMS: tuple[type[Exception], ...] = (
    gateway.RequestMalformed,
    gateway.UploadTooLarge,
    gateway.UploadTooSlow,
    gateway.MediaTypeUnsupported,
    gateway.PowersExceeded,
)
_MADE = Answer(
    status=201,
    description="The key. Its secret is shown this once.",
    content=(Content(type=keys.MadeKeyPage),),
    headers=(("Location", "Where the key is looked at and revoked."),),
)

TOKEN_ROUTES: tuple[Endpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/keys",
        handler=keys.list_keys,
        access=Access.MEMBER,
        permission=Permission.KEYS_READ,
        name="listKeys",
        tag="keys",
        summary="The account's API keys",
        answers=(
            Answer(
                status=200, description="Without secrets.", content=(Content(type=keys.KeysPage),)
            ),
        ),
        problems=(ledger.LedgerUnavailable,),
    ),
    Endpoint(
        method="POST",
        path="/v1/keys",
        handler=keys.make_key,
        access=Access.MEMBER,
        step_up=True,
        permission=Permission.KEYS_WRITE,
        name="makeKey",
        tag="keys",
        summary="Make an API key",
        description="It can do no more than the key that makes it. A `test` key converts small "
        "files for nothing. With a `signing` key you sign tokens (JWT, HS256, `kid` = its id) "
        "yourself; it is never sent.",
        body=(Content(type=keys.KeyWanted),),
        answers=(_MADE,),
        problems=(*_BODY_PROBLEMS, ledger.KeysExceeded, ledger.LedgerUnavailable),
    ),
    Endpoint(
        method="GET",
        path="/v1/keys/{id}",
        handler=keys.show_key,
        access=Access.MEMBER,
        permission=Permission.KEYS_READ,
        name="getKey",
        tag="keys",
        summary="One API key",
        parameters=(_ID,),
        answers=(
            Answer(
                status=200,
                description="Without its secret.",
                content=(Content(type=keys.KeyItem),),
            ),
        ),
        problems=(ledger.KeyUnknown, ledger.LedgerUnavailable),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/keys/{id}",
        handler=keys.revoke_key,
        access=Access.MEMBER,
        permission=Permission.KEYS_WRITE,
        name="revokeKey",
        tag="keys",
        summary="Revoke an API key, and with it all of its tokens",
        parameters=(_ID,),
        answers=(Answer(status=204, description="It is refused from now on, everywhere."),),
        problems=(ledger.KeyUnknown, ledger.LedgerUnavailable),
    ),
    Endpoint(
        method="POST",
        path="/v1/keys/{id}/rotate",
        handler=keys.rotate_key,
        access=Access.MEMBER,
        step_up=True,
        permission=Permission.KEYS_WRITE,
        name="rotateKey",
        tag="keys",
        summary="Replace an API key by one that may do the same",
        description="Both work until the overlap is over. Until then answers to the old one carry "
        "`Deprecation` and `Sunset`.",
        parameters=(_ID,),
        body=(Content(type=keys.Rotation),),
        bodyless=True,
        answers=(_MADE,),
        problems=(
            *_BODY_PROBLEMS,
            ledger.KeyUnknown,
            ledger.KeysExceeded,
            ledger.LedgerUnavailable,
        ),
    ),
    Endpoint(
        method="POST",
        path="/v1/tokens",
        handler=tokens.issue_token,
        access=Access.CUSTOMER,
        permission=Permission.TOKENS,
        name="issueToken",
        tag="keys",
        summary="A short-lived token for a browser, an upload or somebody else",
        description="A JWT (Ed25519, `typ: at+jwt`) that speaks for the key for at most 15 "
        "minutes, and only for what is asked for here. It is sent as an API key is.",
        body=(Content(type=tokens.TokenWanted),),
        bodyless=True,
        answers=(
            Answer(status=201, description="The token.", content=(Content(type=tokens.TokenPage),)),
        ),
        problems=(*_BODY_PROBLEMS, ledger.LedgerUnavailable),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/tokens",
        handler=tokens.revoke_tokens,
        access=Access.MEMBER,
        permission=Permission.TOKENS,
        name="revokeTokens",
        tag="keys",
        summary="Revoke all tokens of the account that were issued or signed until now",
        answers=(Answer(status=204, description="They are refused from now on, everywhere."),),
        problems=(ledger.LedgerUnavailable,),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/tokens/{jti}",
        handler=tokens.revoke_token,
        access=Access.MEMBER,
        permission=Permission.TOKENS,
        name="revokeToken",
        tag="keys",
        summary="Revoke one token",
        parameters=(
            Parameter(name="jti", place="path", description="The claim `jti` of the token."),
        ),
        answers=(Answer(status=204, description="It is refused from now on, everywhere."),),
        problems=(gateway.RequestMalformed, ledger.LedgerUnavailable),
    ),
    Endpoint(
        method="GET",
        path="/.well-known/jwks.json",
        handler=tokens.token_keys,
        access=Access.PUBLIC,
        permission=Permission.NONE,
        name="getTokenKeys",
        tag="keys",
        summary="The public keys that tokens are checked with",
        answers=(
            Answer(
                status=200,
                description="A JSON Web Key Set: the key that signs, the next one, and those "
                "whose tokens still live.",
                content=(Content(type=PublishedKeys),),
            ),
        ),
        problems=(ledger.LedgerUnavailable,),
    ),
)
