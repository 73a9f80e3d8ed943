"""Every exercise: untouched, solved, each usual mistake, a number written in, an error."""

from __future__ import annotations

import itertools
import linecache
import types
import warnings

import pytest

import chainrule as cr
from chainrule import learn
from chainrule.errors import ArgumentError, BlankError, DataError
from chainrule.learn import EXERCISES, Exercise, Mistake
from chainrule.learn.checking import plain, same

NAMES = [e.name for e in EXERCISES]
each_exercise = pytest.mark.parametrize("e", EXERCISES, ids=NAMES)
MISTAKES = [pytest.param(e, m, id=f"{e.name}-{i}") for e in EXERCISES for i, m in enumerate(e.mistakes)]
_files = itertools.count()


@pytest.fixture(autouse=True)
def _begin_anew():
    learn.forget()
    yield
    learn.forget()


def function(e: Exercise, text: str):
    """The function of a learner's cell with this text."""
    file = f"cell_{next(_files)}.py"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names = {"cr": cr, "____": learn.____}
    exec(compile(text, file, "exec"), names)
    return names[e.function]


@each_exercise
def test_untouched_is_not_started(e):
    outcome = e.check(function(e, e.template))
    assert outcome.status == "not started"
    assert repr(outcome).startswith("○ not started: blank 1 of ")
    assert e.record.tries == 0


@each_exercise
def test_without_the_function_it_is_not_started(e):
    assert e.check().status == "not started"


@each_exercise
def test_the_solution_is_correct_without_a_warning(e):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcome = e.check(function(e, e.solved))
    assert outcome.correct, outcome
    assert e.after in outcome.message


@each_exercise
def test_a_template_with_one_blank_left_says_which_line(e):
    """The last line of the solution is the only one that is not filled in."""
    body = e.solved.rstrip().rsplit("\n", 1)[0]
    outcome = e.check(function(e, f"{body}\n    return ____\n"))
    assert outcome.status == ("not yet" if e.template.count("____") > 1 else "not started")
    assert "return ____" in outcome.message


@pytest.mark.parametrize("e, m", MISTAKES)
def test_each_usual_mistake_is_recognised(e: Exercise, m: Mistake):
    old, new = m.change
    assert old in e.solved
    outcome = e.check(function(e, e.solved.replace(old, new)))
    assert outcome.status == "not yet"
    assert outcome.message.startswith(m.says.partition("{")[0])
    assert outcome.message.endswith(m.says.rpartition("}")[2])
    assert "{" not in outcome.message


@each_exercise
def test_a_number_that_is_written_in_fails(e):
    """The right answer to the question, and to nothing else."""
    answer = plain(e.truth(*e.at))
    constant_by_nature = all(same(plain(e.truth(*p)), answer) for p in e.points())
    assert not constant_by_nature
    outcome = e.check(lambda *args: answer)
    assert outcome.status == "not yet"
    assert "written in instead of computed" in outcome.message


@each_exercise
def test_mistakes_give_other_numbers_than_the_truth(e):
    """Else a right answer would be called a mistake."""
    for m in e.mistakes:
        if m.gives is not None:
            assert not all(same(plain(m.gives(*p)), plain(e.truth(*p))) for p in e.points()), m.says


@each_exercise
def test_the_truth_is_the_engines(e):
    for p in e.points():
        assert same(plain(function(e, e.solved)(*p)), plain(e.truth(*p)))


def test_an_error_in_the_code_is_told_with_its_line():
    e = learn.ex2
    outcome = e.check(function(e, "def slope(at):\n    w = undefined + 1\n    return w\n"))
    assert outcome.status == "error in your code"
    assert repr(outcome) == (
        "! error in your code: NameError: name 'undefined' is not defined\n  at line 2:  w = undefined + 1"
    )
    assert learn.ex2.record.tries == 1


@pytest.mark.parametrize(
    "answer, words",
    [
        ("a", "gives 'a', and numbers are asked for"),
        ([1.0, 2.0], "2 numbers, and 1 asked for"),
        (True, "numbers are asked for"),
        (float("nan"), "You have nan at 1.5"),
        (17.0, "You have 17 at 1.5"),
    ],
)
def test_any_other_answer_is_told_too(answer, words):
    assert words in learn.ex2.check(lambda at: answer).message


def test_a_right_answer_in_another_type_is_right():
    for convert in (float, lambda t: t, lambda t: t.numpy(), lambda t: cr.tensor(t.item())):
        assert learn.ex2.check(lambda at, c=convert: c(cr.tensor(4 - 3 * at**2))).correct


def test_a_check_finds_the_function_where_it_is_called():
    def slope(at):
        return 4 - 3 * at**2

    assert learn.ex2.check().correct
    assert callable(slope)


def test_hints_come_one_by_one_and_the_last_one_stays():
    e = learn.ex2
    texts = [str(e.hint()) for _ in range(4)]
    assert [t[:8] for t in texts] == ["hint 1/3", "hint 2/3", "hint 3/3", "hint 3/3"]
    assert "again for more" in texts[0]
    assert "again for more" not in texts[2]


@pytest.mark.parametrize("way", ["tries", "hints", "solved"])
def test_the_solution_is_shown_after_two_tries_or_all_hints(way):
    e = learn.ex2
    with pytest.raises(ArgumentError, match="after 2 tries or all 3 hints"):
        e.solution()
    if way == "solved":
        e.check(function(e, e.solved))
    for _ in range({"tries": 2, "hints": 3, "solved": 0}[way]):
        e.hint() if way == "hints" else e.check(lambda at: 0.0)
    assert str(e.solution()) == e.solved


def test_progress_is_a_table_and_a_file_on_request(tmp_path):
    learn.ex1.check(function(learn.ex1, learn.ex1.solved))
    learn.ex2.check(lambda at: 0.0)
    lines = str(learn.progress()).splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["✓", "✗", "○"]
    assert lines[-1] == "1 of 9 are correct"
    learn.keep(tmp_path / "progress.json")
    learn.forget()
    assert str(learn.progress()).endswith("0 of 9 are correct")
    learn.keep(tmp_path / "progress.json")
    assert str(learn.progress()).endswith("1 of 9 are correct")


def test_a_file_that_is_no_progress_is_refused_and_left_alone(tmp_path):
    (tmp_path / "a.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(DataError, match="no progress"):
        learn.keep(tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "[1]"


@pytest.mark.parametrize(
    "use",
    [
        lambda b: b + 1, lambda b: 2 * b, lambda b: b.backward(), lambda b: b(), lambda b: b[0], lambda b: float(b),
        lambda b: bool(b), lambda b: list(b), lambda b: -b, lambda b: b**2, lambda b: len(b), lambda b: b < 1,
        lambda b: cr.tensor([1.0]) * b, lambda b: cr.sin(b), lambda b: cr.tensor(b),
    ],
)  # fmt: skip
def test_every_use_of_a_blank_says_that_it_is_one(use):
    with pytest.raises((BlankError, TypeError)) as caught:
        use(learn.____)
    assert "____" in str(caught.value) or "blank" in str(caught.value).lower()


def test_a_blank_can_be_assigned_and_shown():
    w = learn.____
    assert repr(w) == "____"


def test_an_exercise_shows_as_text_and_as_markdown():
    assert repr(learn.ex2).startswith("ex2: Negative slope\n")
    assert "```python\ndef slope(at):" in learn.ex2._repr_markdown_()
    assert isinstance(learn.ex2, Exercise)
    assert isinstance(learn, types.ModuleType)
