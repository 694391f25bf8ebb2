"""What the page says, in both languages: the script switches from the one to the other.

What has no Chinese stays English and is marked as English.
"""

from __future__ import annotations

import re
from functools import lru_cache

from markupsafe import Markup, escape

from resnet_repro.messages import Message, translated
from resnet_repro.report.page.words import WORDS

CHINESE = "zh_CN"

# Numbers, counts of runs, units and signs are the same in both languages.
_NEUTRAL = re.compile(r"(?:[\d.,\s±()<>=+\-%/]|\bn\b|\bM\b)*")
_MARKDOWN = re.compile("[*`]")


@lru_cache(maxsize=1)
def texts() -> dict[str, tuple[str, str]]:
    """The page's own words by key, for the script: English, Chinese."""
    return {key: (words, translated(words, CHINESE) or words) for key, words in WORDS.items()}


def own(key: str, **values: object) -> Markup:
    """The page's own words of that key, switched by the script. Raises KeyError."""
    return said(Message(WORDS[key].message, values))


def own_label(key: str) -> Markup:
    """The same as an element's label for those who do not see it."""
    en, zh = texts()[key]
    return Markup(f' aria-label="{escape(en)}" data-zh-label="{escape(zh)}"')


def own_of(key: str) -> Markup:
    """An attribute and the text of an element that holds nothing but it, such as an option."""
    en, zh = texts()[key]
    return Markup(f' data-zh="{escape(zh)}">{escape(en)}')


def said(text: str) -> Markup:
    """A text in both languages without Markdown's signs, or marked as English only."""
    en = _MARKDOWN.sub("", text)
    if _NEUTRAL.fullmatch(en):
        return escape(en)
    found = translated(text, CHINESE)
    if found is None:
        return Markup(f'<span lang="en" data-untranslated>{escape(en)}</span>')
    zh = _MARKDOWN.sub("", found)
    if en == zh:
        return escape(en)
    return Markup(f'<span data-zh="{escape(zh)}">{escape(en)}</span>')
