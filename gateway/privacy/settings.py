"""What an operator says about who runs the service, for the privacy page."""

import msgspec

_CHARS_MAX = 300


class PrivacyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sentences for people, shown as they are; an empty one is left out."""

    # Who decides what is done with personal data: a name and an address (GDPR, article 13).
    controller: str = ""
    # How to reach them about it: an address of a mailbox or a page.
    contact: str = ""
    # The data protection officer, where there is one.
    officer: str = ""
    # Where people may complain.
    authority: str = ""
    # Where the machines are.
    region: str = ""
    # Who runs the machines, if that is somebody else.
    hosting: str = ""
    # Who delivers the mails, if that is somebody else; empty: mail.host is named.
    mail_provider: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for what is no sentence."""
        for name in self.__struct_fields__:
            text = getattr(self, name)
            if len(text) > _CHARS_MAX or any(char < " " for char in text):
                raise ValueError(f"privacy.{name} is one line of at most {_CHARS_MAX} characters")
