"""The rule that splits texts and queries into words, the same for both databases.

A word is a run of letters, digits and marks. Case and accents are folded by Unicode's rules: compatibility forms are
decomposed, the case is folded (ß becomes ss, a final sigma a sigma), accents and points are removed. Chinese, Japanese,
Korean, Thai, Lao, Khmer and Burmese do not separate all words by spaces. A run of their characters becomes overlapping
pairs and its last character alone, so that each character begins one word of the index:

    天气好  ->  天气 气好 好

A query for a part of such a run is a phrase of pairs. A query for a single character is a prefix of a pair.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import chain, repeat

VERSION = 4
"""Must grow with each change of the rule, or of the texts that are indexed: the background then rebuilds the text
index."""

# Scripts that are written without spaces between words, and Korean, whose endings are written as part of the word.
_PAIRED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Burmese
    "\u1780-\u17ff"  # Khmer
    "\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff"  # Korean
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u303b-\u303c\u3041-\u30ff\u31f0-\u31ff"  # Japanese
    "\u3100-\u312f\u31a0-\u31bf\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese
)
_RUN = re.compile(f"[{_PAIRED}]+")
# Matches whole sentences of a language without ASCII letters: a call for each word would take three times as long.
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+(?:[ -/]+[^\x00-\x7f]+)*")
_WORD = re.compile(r"[a-z0-9\x80-\U0010ffff]+")

# Letters that do not decompose, though Unicode's collation distinguishes them from these by an accent only.
_UNDECOMPOSED = {"ı": "i", "ł": "l", "ø": "o", "đ": "d", "ħ": "h", "ŧ": "t", "æ": "ae", "œ": "oe"}
# Characters without a meaning, which only lengthen or fill a line.
_FILLERS = set("\u0640\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u034f") | {chr(0xFE00 + n) for n in range(16)}


def words(text: str) -> list[str]:
    """Return the words of a text as the index holds them."""
    return _WORD.findall(spaced(text).lower())


def words_of_query(text: str, *, begins: bool = False) -> tuple[list[str], bool]:
    """Return the words to look up for a text, and whether the last one is a prefix.

    `begins` requests that the last word is a prefix. A run of paired characters may continue after the query's end.
    """
    query_words = words(text)
    if not query_words or not _RUN.fullmatch(query_words[-1]):
        return query_words, begins
    # Each run ends with a single character.
    if len(query_words) > 1 and len(query_words[-2]) == 2 and _RUN.fullmatch(query_words[-2]):
        return query_words[:-1], False
    return query_words, True


def spaced(text: str) -> str:
    """Return a text in which words are separated by ASCII characters that are neither letters nor digits.

    All is folded except for the case of ASCII letters. An ASCII text is returned unchanged, at no cost.
    """
    return text if text.isascii() else _NOT_ASCII.sub(_fold_and_pair, text)


def _fold_and_pair(match: re.Match[str]) -> str:
    # Compose Korean syllables and voiced kana again.
    folded = unicodedata.normalize("NFC", match[0].translate(_FOLDED))
    return _RUN.sub(_pairs, folded)


def _pairs(match: re.Match[str]) -> str:
    run = match[0]
    pairs = "".join(chain.from_iterable(zip(run, run[1:], repeat(" "), strict=False)))
    return f" {pairs}{run[-1]} "


class _Folding(dict[int, str]):
    """Maps characters to their folded form, which is computed at the first use."""

    def __missing__(self, code: int) -> str:
        decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", chr(code)).casefold())
        folded = self[code] = "".join(map(_folded, decomposed))
        return folded


def _folded(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cf", "Me") or character in _FILLERS or 0xE0100 <= ord(character) <= 0xE01EF:
        return ""
    if category == "Mn":
        # Combining classes: 1 are strokes through a letter, 10 to 36 the points of Hebrew and Arabic, 200 and above
        # accents. All others belong to the spelling: vowels of Indian scripts, voiced kana, tones of Thai.
        combining_class = unicodedata.combining(character)
        return "" if combining_class == 1 or 10 <= combining_class <= 36 or combining_class >= 200 else character
    if category[0] in "LNM" or category == "Co":
        return _UNDECOMPOSED.get(character, character)
    return character if character.isascii() else " "


_FOLDED = _Folding()
