"""Commands that a message suggests, ready to be pasted into a shell."""

import shlex

from facerec.contract import DEFAULT_COLLECTION_ID


def command(*words: str, collection: str = DEFAULT_COLLECTION_ID) -> str:
    """`facerec` with these words, quoted for a shell, in the collection."""
    named = () if collection == DEFAULT_COLLECTION_ID else ("--collection", collection)
    return shlex.join(("facerec", *words, *named))
