"""What a password must be: long, and not made of what everybody tries first. Pure.

NIST SP 800-63B-4: a minimum length, a list of what is common, words of the context; no rules about
kinds of characters, no expiry. 12 characters, because a second factor is offered and not demanded.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise

from gateway.errors import PasswordRefused
from gateway.people.words import COMMON, ROWS

CHARS_MIN = 12
CHARS_MAX = 256
# What is left when everything guessable is taken away.
_REST_MIN = 5
_DISTINCT_MIN = 5
_PERIOD_MAX = 4
# Shorter words stand in too many good passwords.
_WORD_MIN = 3
_RUN_MIN = 3
_PRODUCT = ("ephemera",)
_YEAR = re.compile(r"(?:19|20)\d\d")
# What stands for a letter: both readings of the ambiguous ones are tried.
_READINGS = (
    str.maketrans("0134578@$!", "oleastbasi"),
    str.maketrans("0134578@$!", "oieastbasi"),
)


def normal(password: str) -> str:
    """One form of the same text, however a keyboard composed it (NFKC)."""
    return unicodedata.normalize("NFKC", password)


def accepted(password: str, context: Iterable[str]) -> str:
    """The password in the form in which it is hashed. Raises PasswordRefused.

    `context` are the texts that an attacker knows: the person's address and name.
    """
    text = normal(password)
    if len(text) < CHARS_MIN:
        raise PasswordRefused(f"a password has at least {CHARS_MIN} characters")
    if max(len(text), len(password)) > CHARS_MAX:
        raise PasswordRefused(f"a password has at most {CHARS_MAX} characters")
    if len(set(text)) < _DISTINCT_MIN or _period(text) <= _PERIOD_MAX:
        raise PasswordRefused("the password repeats itself; take one that does not")
    words = sorted({*COMMON, *_PRODUCT, *_parts(context)}, key=len, reverse=True)
    # Words before runs as well as after: an address may have a run in it, and a run a word.
    starts = (start for one in _readings(text) for start in (one, _without_runs(one)))
    if any(len(_rest(start, words)) < _REST_MIN for start in starts):
        raise PasswordRefused(
            "the password is made of common words, of your name or address, or of runs such as"
            " 12345; add something that nobody would think of"
        )
    return text


def _parts(context: Iterable[str]) -> Iterator[str]:
    for text in context:
        for part in re.split(r"[^\w]+", normal(text).casefold()):
            if len(part) >= _WORD_MIN:
                yield part


def _readings(text: str) -> Iterator[str]:
    # As it is, since an address may have a year in it; then without: as letters it would be none.
    yield text.casefold()
    folded = _YEAR.sub(" ", text.casefold())
    yield folded
    for reading in _READINGS:
        yield folded.translate(reading)


def _rest(text: str, words: Iterable[str]) -> str:
    """The text without words, runs, repetitions, blanks and punctuation."""
    rest = text
    for word in words:
        rest = rest.replace(word, " ")
    rest = re.sub(r"(.)\1{2,}", r"\1", _without_runs(rest))
    return "".join(one for one in rest if one.isalnum())


def _without_runs(text: str) -> str:
    """The text without three or more characters that are neighbours in an alphabet or on keys."""
    if not text:
        return text
    kept, run = [], [text[0]]
    for one, other in pairwise(text):
        if not _neighbours(one, other):
            kept += run if len(run) < _RUN_MIN else [" "]
            run = []
        run.append(other)
    kept += run if len(run) < _RUN_MIN else [" "]
    return "".join(kept)


def _neighbours(one: str, other: str) -> bool:
    pair = one + other
    return any(pair in row or pair[::-1] in row for row in ROWS)


def _period(text: str) -> int:
    """The length of the shortest beginning whose repetition the text is."""
    return next(
        size
        for size in range(1, len(text) + 1)
        if all(text[at] == text[at % size] for at in range(len(text)))
    )
