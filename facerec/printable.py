"""Text of others on somebody's terminal: shown whole, and without what would steer the terminal."""

import re
import unicodedata

# Characters of no width that Unicode does not call format characters: fillers, joiners, variation selectors.
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
    + "".join(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
)
_PLAIN = re.compile(r"[ -~]*")


def printable(text: str) -> str:
    """The text with every character escaped, as Python writes it (`\\x1b`, `\\u202e`), that is not seen.

    These are control characters, line breaks among them, what turns the direction of text around, what has
    no width, halves of surrogate pairs (bytes of a file's name that are no text), and what Unicode has not
    assigned. Letters of every script and spaces of every width stay.
    """
    if _PLAIN.fullmatch(text):
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    seen = character.isprintable() or unicodedata.category(character) == "Zs"
    if seen and character not in _INVISIBLE:
        return character
    return character.encode("unicode_escape").decode()
