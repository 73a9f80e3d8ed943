"""The primitives that compiled programs leave to NumPy are those of the list, each with its reason.

`python tests/docs/test_machine_code.py` writes the list anew.
"""

from pathlib import Path

from docs.support import CALLED, YES, row, without_machine_code

LIST = Path(__file__).with_name("without_machine_code.txt")


def text():
    return "".join(f"{name}: {why}\n" for name, why in without_machine_code().items())


def test_the_list_is_up_to_date():
    assert text() == LIST.read_text(encoding="utf-8"), "run: python tests/docs/test_machine_code.py"


def test_the_page_tells_machine_code_from_calls_of_numpy():
    assert row("sin").marks[-1] == YES
    assert row("sort").marks[-1] == CALLED


if __name__ == "__main__":
    LIST.write_text(text(), encoding="utf-8")
