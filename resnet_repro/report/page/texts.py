"""The page's text in both languages: its own by key, and what other modules say by sentence.

`texts.toml` holds the page's own, `sentences.toml` what artifacts, tables and notes say, as
patterns in which `{}` stands for anything, `{w}` for a name, `{#}` for numbers. What has no
Chinese stays English and is marked, so that a test finds it.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib import resources
from typing import Any

from markupsafe import Markup, escape

# Numbers, counts of runs, units and signs are the same in both languages.
_NEUTRAL = re.compile(r"(?:[\d.,\s±()<>=+\-%/]|\bn\b|\bM\b)*")

_STOP = "\N{IDEOGRAPHIC FULL STOP}"
_JOINTS = (
    ("; ", "\N{FULLWIDTH SEMICOLON}"),
    (", ", "\N{IDEOGRAPHIC COMMA}"),
    (" and ", "\N{IDEOGRAPHIC COMMA}"),
    (" or ", "\N{IDEOGRAPHIC COMMA}"),
)


_OPEN = re.compile(r"(\{[#w]?\})")
_STANDS_FOR = {
    "{}": "(.+?)",
    "{w}": r"([^\s,()]+)",  # a name
    "{#}": r"(\d[\d.,]*(?<![.,])(?: (?:and|or) \d[\d.,]*(?<![.,]))*)",  # a number or several
}


@lru_cache(maxsize=1)
def texts() -> dict[str, tuple[str, str]]:
    """The page's own text by key: English, Chinese."""
    return {key: (en, zh) for key, (en, zh) in read_toml("texts.toml").items()}


@lru_cache(maxsize=1)
def _sentences() -> tuple[dict[str, str], list[tuple[re.Pattern[str], str]]]:
    """Whole sentences, and patterns with what stands for their Chinese."""
    found = read_toml("sentences.toml")
    exact = {en: zh for en, zh in found.items() if not _OPEN.search(en)}
    patterns = []
    for en, zh in found.items():
        if en not in exact:
            parts = _OPEN.split(en)  # words and placeholders by turns
            parts[::2] = [re.escape(words) for words in parts[::2]]
            parts[1::2] = [_STANDS_FOR[place] for place in parts[1::2]]
            patterns.append((re.compile("".join(parts)), zh))
    return exact, patterns


def read_toml(name: str) -> dict[str, Any]:
    """One of the two files of words beside this module."""
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return tomllib.loads(text)


@lru_cache(maxsize=4096)
def chinese(text: str) -> str | None:
    """What another module says, in Chinese; None where nobody translated it.

    What a pattern leaves open is translated in turn where it can be: the words of a metric
    within a note. A list of sentences joined by `; ` or `, ` is translated piece by piece.
    """
    exact, patterns = _sentences()
    if text in exact:
        return exact[text]
    for pattern, zh in patterns:
        match = pattern.fullmatch(text)
        if match:
            return zh.format(*(chinese(part) or part for part in match.groups()))
    if text.endswith("."):
        whole = chinese(text[:-1])
        return whole and whole + _STOP
    for joint, sign in _JOINTS:
        pieces = _pieces(text, joint) if joint in text else None
        if pieces:
            return sign.join(pieces)
    return None


def _pieces(text: str, joint: str) -> list[str] | None:
    """A list's items in Chinese, None unless all have one; an item may have the joint once."""
    parts, found, start = text.split(joint), [], 0
    while start < len(parts):
        for end in (start + 1, start + 2):
            piece = joint.join(parts[start:end])
            here = piece if _NEUTRAL.fullmatch(piece) else chinese(piece) if piece != text else None
            if here:
                break
        else:
            return None
        found.append(here)
        start = end
    return found


def own(key: str, **values: object) -> Markup:
    """The page's own text of that key, switched by the script. Raises KeyError."""
    en, zh = (text.format(**values) if values else text for text in texts()[key])
    return both(en, zh)


def own_label(key: str) -> Markup:
    """The same as an element's label for those who do not see it."""
    en, zh = texts()[key]
    return Markup(f' aria-label="{escape(en)}" data-zh-label="{escape(zh)}"')


def own_of(key: str) -> Markup:
    """An attribute and the text of an element that holds nothing but it, such as an option."""
    en, zh = texts()[key]
    return Markup(f' data-zh="{escape(zh)}">{escape(en)}')


def said(text: str) -> Markup:
    """What another module says: in both languages, or marked as English only."""
    if _NEUTRAL.fullmatch(text):
        return escape(text)
    zh = chinese(text)
    if zh is None:
        return Markup(f'<span lang="en" data-untranslated>{escape(text)}</span>')
    return both(text, zh)


def both(en: str, zh: str) -> Markup:
    """Words in English, with their Chinese for the script to switch to."""
    if en == zh:
        return escape(en)
    return Markup(f'<span data-zh="{escape(zh)}">{escape(en)}</span>')
