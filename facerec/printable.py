"""Escapes control and invisible characters in text of others before it is shown on a terminal."""

import re
import unicodedata

# Characters without width outside Unicode's format category: fillers, joiners, variation selectors.
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
    + "".join(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
)
_PLAIN = re.compile(r"[ -~]*")


def printable(text: str) -> str:
    """The text with every invisible character escaped, as Python writes it (`\\x1b`, `\\u202e`).

    These are control characters including line breaks, characters that change the direction of text or have
    no width, lone surrogates (bytes of a file name that are not UTF-8), and unassigned ones. Letters of every
    script and spaces of every width stay.
    """
    if _PLAIN.fullmatch(text):
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    visible = character.isprintable() or unicodedata.category(character) == "Zs"
    if visible and character not in _INVISIBLE:
        return character
    return character.encode("unicode_escape").decode()
