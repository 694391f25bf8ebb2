"""What the project says to readers: in English, together with what it was made from.

`_` is gettext's: it marks a message where it is made, and what it gives is the English text that
knows its message and arguments, so that it can be said in another language later. Catalogues lie
in `locale/`; `make messages` brings them up to date. What has no translation stays English.
"""

from __future__ import annotations

import gettext
from collections.abc import Mapping, Sequence
from functools import lru_cache

from resnet_repro.paths import LOCALE

DOMAIN = "resnet_repro"  # of the catalogues


class Message(str):
    """A text in English that knows its message and what it was filled with."""

    message: str
    arguments: Mapping[str, object]

    def __new__(cls, message: str, arguments: Mapping[str, object]) -> Message:
        text = str.__new__(cls, message.format(**arguments) if arguments else message)
        text.message, text.arguments = message, arguments
        return text

    def __getnewargs__(self) -> tuple[str, Mapping[str, object]]:  # type: ignore[override]
        return self.message, self.arguments


def _(message: str, **arguments: object) -> Message:
    """A message, its braces filled with the arguments; arguments may be messages themselves."""
    return Message(message, arguments)


# How lists are joined; a language may use other signs.
_JOINTS = {
    "; ": _("{first}; {second}"),
    ", ": _("{first}, {second}"),
    " or ": _("{first} or {second}"),
    " and ": _("{first} and {second}"),
    " ": _("{first} {second}"),
}


def joined(joint: str, parts: Sequence[str]) -> str:
    """Like `joint.join(parts)`, but a message; joint: a key of _JOINTS. Empty parts fall out."""
    found = [part for part in parts if part]
    text = found[0] if found else ""
    for part in found[1:]:
        text = Message(_JOINTS[joint].message, {"first": text, "second": part})
    return text


class _Untranslated(gettext.NullTranslations):
    """Behind a catalogue, so that a message it lacks is told from one that reads alike."""

    def gettext(self, message: str) -> str:  # noqa: ARG002
        return ""


@lru_cache(maxsize=8)
def _catalogue(language: str) -> gettext.NullTranslations:
    """A language's compiled messages."""
    found = gettext.translation(DOMAIN, LOCALE, [language])
    found.add_fallback(_Untranslated())
    return found


def translated(text: str, language: str) -> str | None:
    """A text in a language that has a catalogue; None where it has no translation.

    A text that is no message, such as the name of a verdict, is looked up as it stands. Of a
    message what fills it is translated, too, where it can be.
    """
    catalogue = _catalogue(language)
    if not isinstance(text, Message):
        return (catalogue.gettext(text) or None) if text else None
    found = catalogue.gettext(text.message)
    if not found:
        return None
    if not text.arguments:
        return found
    return found.format(
        **{
            name: (translated(value, language) or value) if isinstance(value, str) else value
            for name, value in text.arguments.items()
        }
    )
