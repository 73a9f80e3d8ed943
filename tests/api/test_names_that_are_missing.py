"""torch's sub-modules: what is not there is refused by name, with a way out."""

import importlib

import pytest

import chainrule as cr
from chainrule.errors import UnsupportedError

MODULES = ["nn", "nn.functional", "linalg", "special", "func", "autograd", "utils", "optim"]


@pytest.mark.parametrize("module", MODULES)
def test_a_missing_name_of_a_sub_module_is_refused_by_name(module):
    with pytest.raises(UnsupportedError, match=rf"chainrule\.{module} has no 'NotThere'") as info:
        importlib.import_module(f"chainrule.{module}").NotThere
    assert info.value.fix


@pytest.mark.parametrize("module", MODULES)
def test_a_missing_name_can_be_asked_for_and_python_may_look_for_its_protocols(module):
    found = importlib.import_module(f"chainrule.{module}")
    assert not hasattr(found, "NotThere")
    assert not hasattr(found, "__wrapped__")


def test_a_slip_of_the_pen_is_put_right():
    with pytest.raises(UnsupportedError) as info:
        cr.nn.functional.sofmax
    assert info.value.fix == "did you mean 'softmax'?"


def test_an_import_of_a_missing_name_is_an_import_error():
    with pytest.raises(ImportError, match="NotThere"):
        exec("from chainrule.nn import NotThere")


@pytest.mark.parametrize("name", ["dtype", "amp"])
def test_another_word_is_no_slip_of_the_pen(name):
    with pytest.raises(UnsupportedError) as info:
        getattr(cr, name)
    assert info.value.fix == "see dir(chainrule) for what is there"
