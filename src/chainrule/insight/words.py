"""Small words of English."""


def a(noun: str) -> str:
    """The noun with its article: a list, an int."""
    return f"{'an' if noun[:1] in 'aeio' else 'a'} {noun}"
