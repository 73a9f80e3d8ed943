"""Where the coefficients of `codegen/vecmath/coefficients.py` come from: near-minimax fits in 60 digits.

`python tests/codegen/fits.py` writes the file anew; a test compares.
"""

import warnings
from pathlib import Path

import mpmath as mp

FILE = Path(__file__).parents[2] / "src/chainrule/codegen/vecmath/coefficients.py"


def exp_rest(r):
    """e^r = 1 + r + r²/2 + r³·rest(r)."""
    return (mp.expm1(r) - r - r * r / 2) / r**3 if abs(r) > mp.mpf(10) ** -15 else mp.mpf(1) / 6 + r / 24


def log_rest(z):
    """ln((1 + s)/(1 - s)) = 2s + s³·rest(s²)."""
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) / s - 2) / z if z > mp.mpf(10) ** -25 else mp.mpf(2) / 3 + 2 * z / 5


def sin_rest(z):
    """sin r = r + r³·rest(r²)."""
    r = mp.sqrt(z)
    return (mp.sin(r) / r - 1) / z if z > mp.mpf(10) ** -25 else -mp.mpf(1) / 6 + z / 120


def cos_rest(z):
    """cos r = 1 - r²/2 + r⁴·rest(r²)."""
    return (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2 if z > mp.mpf(10) ** -15 else mp.mpf(1) / 24 - z / 720


def atan_rest(z):
    """arctan t = t + t³·rest(t²)."""
    t = mp.sqrt(z)
    return (mp.atan(t) / t - 1) / z if z > mp.mpf(10) ** -25 else -mp.mpf(1) / 3 + z / 5


def asin_rest(z):
    """arcsin t = t + t³·rest(t²)."""
    t = mp.sqrt(z)
    return (mp.asin(t) / t - 1) / z if z > mp.mpf(10) ** -25 else mp.mpf(1) / 6 + 3 * z / 40


def erf_rest(z):
    """erf x = x + x·rest(x²)."""
    x = mp.sqrt(z)
    return mp.erf(x) / x - 1 if z > mp.mpf(10) ** -25 else 2 / mp.sqrt(mp.pi) * (1 - z / 3) - 1


def erfcx_rest(t):
    """(1 + 2x)·e^(x²)·erfc x = 1 + w·rest(2w - 1) with w = x/(x + 3)."""
    x, w = 3 * (1 + t) / (1 - t), (1 + t) / 2
    return ((1 + 2 * x) * mp.exp(x * x) * mp.erfc(x) - 1) / w


def fits():
    """Name -> (function, from, to, coefficients for float64, for float32)."""
    half = mp.log(2) / 2 * mp.mpf("1.0001")
    s = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)
    return {
        "EXP": (exp_rest, -half, half, 10, 4),
        "LOG": (log_rest, mp.mpf(0), s**2 * mp.mpf("1.001"), 8, 4),
        "SIN": (sin_rest, mp.mpf(0), (mp.pi / 4) ** 2 * mp.mpf("1.001"), 6, 4),
        "COS": (cos_rest, mp.mpf(0), (mp.pi / 4) ** 2 * mp.mpf("1.001"), 6, 3),
        "ATAN": (atan_rest, mp.mpf(0), mp.tan(mp.pi / 8) ** 2 * mp.mpf("1.001"), 11, 5),
        "ERF": (erf_rest, mp.mpf(0), mp.mpf(1), 12, 6),
        "ERFCX": (erfcx_rest, mp.mpf(-1), 1 - mp.mpf(10) ** -10, 26, 12),
        "ASIN": (asin_rest, mp.mpf(0), mp.mpf("0.2503"), 13, 6),
    }


def fitted():
    with mp.workdps(60), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer versions want the order of powers named
        return {
            name: {
                bits: tuple(float(c) for c in mp.chebyfit(f, [a, b], n))
                for bits, n in ((64, long), (32, short))
            }
            for name, (f, a, b, long, short) in fits().items()
        }


def text():
    lines = [
        '"""Polynomials of the vector functions, highest power first: written by tests/codegen/fits.py.',
        "",
        "Each fits what is left of a series when its first terms are taken off, see there; 64 and 32: bits of the",
        'numbers they are for."""',
        "",
    ]
    for name, of_bits in fitted().items():
        lines.append(f"{name} = {{")
        for bits, cs in of_bits.items():
            lines += [f"    {bits}: (", *[f"        {c!r}," for c in cs], "    ),"]
        lines.append("}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
