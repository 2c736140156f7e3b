"""What an operator decides of tokens."""

import msgspec

DAY_S = 86_400.0


class TokensConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The name that our tokens are made out to, and how often the key that signs them changes."""

    # `iss` and `aud`: the same for all gateways of one service, and different for two services
    # whose tokens must not be mixed up.
    audience: str = "ephemera"
    # A month is what most who publish keys do; the next key is published a whole period before.
    rotation_s: float = 30 * DAY_S

    def __post_init__(self) -> None:
        """Raise ValueError for a name that is none, or a key that would change too often."""
        if not 1 <= len(self.audience) <= 200:  # noqa: PLR2004 (a URL at most)
            raise ValueError("tokens.audience has 1 to 200 characters")
        if not 3600.0 <= self.rotation_s <= 365 * DAY_S:  # noqa: PLR2004 (a token outlives no key)
            raise ValueError("tokens.rotation_s is between an hour and a year")
