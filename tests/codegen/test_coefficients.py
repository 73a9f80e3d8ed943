"""The polynomials are the fits they are said to be."""

import importlib.util
from pathlib import Path

import pytest

from chainrule.codegen.vecmath import coefficients

spec = importlib.util.spec_from_file_location("fits", Path(__file__).with_name("fits.py"))
fits = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fits)


def test_the_coefficients_are_those_of_the_fits():
    for name, of_bits in fits.fitted().items():
        for bits, expected in of_bits.items():
            assert getattr(coefficients, name)[bits] == pytest.approx(expected, rel=1e-12)
