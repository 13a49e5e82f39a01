"""Every text that a browser shows, in German and English: the one catalogue.

`TEXTS[key][language]`; a page or graph asks `texts(language)` once and then reads `words["key"]`.
Formats of numbers and dates belong here too, because they differ by language.
"""

from __future__ import annotations

from collections.abc import Mapping

LANGUAGES = ("en", "de")

GRAPH_TEXTS: dict[str, dict[str, str]] = {}

PAGE_TEXTS: dict[str, dict[str, str]] = {}

TEXTS = GRAPH_TEXTS | PAGE_TEXTS


def texts(language: str) -> Mapping[str, str]:
    """All texts of one language (a member of LANGUAGES), by key."""
    return {key: words[language] for key, words in TEXTS.items()}
