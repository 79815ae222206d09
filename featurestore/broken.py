"""What may be told of a broken contract: the field at fault and what was expected of it, never the value."""

import re

import msgspec

# The path is msgspec's last word; what comes before it may quote a value that looks like one.
_FIELD = re.compile(r".* - at `([^`]+)`$", re.DOTALL)
_QUOTE = re.compile(r"['`\"]")
DETAIL_CHARACTERS = 200


def expectation(error: msgspec.ValidationError) -> tuple[str | None, str]:
    """The path of the field at fault, None where the whole is, and what was expected there.

    >>> from typing import Literal
    >>> class Coin(msgspec.Struct):
    ...     side: Literal["head", "tail"]
    >>> try:
    ...     msgspec.convert({"side": "secret"}, Coin)
    ... except msgspec.ValidationError as error:
    ...     expectation(error)
    ('$.side', 'Invalid enum value')
    """
    text = str(error)
    found = _FIELD.match(text)
    if found is None:
        return None, _detail(text)
    return found.group(1), _detail(text[: found.start(1) - len(" - at `")])


def _detail(text: str) -> str:
    """What msgspec expected. Some of its other messages quote the value, which may be secret and as long as the record."""
    if text.startswith(("Expected ", "Object missing required field ", "Number out of range")):
        return text[:DETAIL_CHARACTERS]
    return _QUOTE.split(text)[0].strip()[:DETAIL_CHARACTERS]
