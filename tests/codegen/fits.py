"""Where the coefficients of `codegen/vecmath/coefficients.py` come from: near-minimax fits in 60 digits.

`python tests/codegen/fits.py` writes the file anew; a test compares.
"""

import warnings
from pathlib import Path

import mpmath as mp

FILE = Path(__file__).parents[2] / "src/chainrule/codegen/vecmath/coefficients.py"


def exp_rest(r):
    """e^r = 1 + r + r²·rest(r)."""
    return (mp.expm1(r) - r) / r**2 if abs(r) > mp.mpf(10) ** -20 else mp.mpf(1) / 2 + r / 6


def cosh_rest(z):
    """cosh r = 1 + r²·rest(r²)."""
    return (mp.cosh(mp.sqrt(z)) - 1) / z if z > mp.mpf(10) ** -15 else mp.mpf(1) / 2 + z / 24


def sinh_rest(z):
    """sinh r = r + r³·rest(r²)."""
    r = mp.sqrt(z)
    return (mp.sinh(r) / r - 1) / z if z > mp.mpf(10) ** -25 else mp.mpf(1) / 6 + z / 120


def log_rest(z):
    """ln((1 + s)/(1 - s)) = 2s + s³·rest(s²)."""
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) / s - 2) / z if z > mp.mpf(10) ** -25 else mp.mpf(2) / 3 + 2 * z / 5


def long_log_rest(z):
    """ln((1 + s)/(1 - s)) = 2s + ⅔s³ + s⁵·rest(s²)."""
    return (log_rest(z) - mp.mpf(2) / 3) / z if z > mp.mpf(10) ** -15 else mp.mpf(2) / 5 + 2 * z / 7


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


def erf_far(v):
    """erf x = 1 - e^(-x²)·far(1/(x + 3))."""
    x = 1 / v - 3
    return mp.exp(x * x) * mp.erfc(x)


def erfcx_rest(t):
    """(1 + 2x)·e^(x²)·erfc x = 1 + w·rest(2w - 1) with w = x/(x + 3)."""
    x, w = 3 * (1 + t) / (1 - t), (1 + t) / 2
    return ((1 + 2 * x) * mp.exp(x * x) * mp.erfc(x) - 1) / w


def lgamma_rest(centre):
    """ln Γ(centre + s) = (y - 1)(y - 2)·rest(s), y = centre + s."""

    def rest(s):
        y = centre + s
        if min(abs(y - 1), abs(y - 2)) < mp.mpf(10) ** -25:
            return mp.euler if y < 1.5 else 1 - mp.euler
        return mp.loggamma(y) / ((y - 1) * (y - 2))

    return rest


def lgamma_far(z):
    """ln Γ(x) = (x - ½) ln x - x + ½ ln 2π + rest(1/x²)/x."""
    x = 1 / mp.sqrt(z) if z > mp.mpf(10) ** -12 else None
    far = mp.mpf(1) / 12 - z / 360 + z**2 / 1260 - z**3 / 1680
    return x * (mp.loggamma(x) - (x - 0.5) * mp.log(x) + x - mp.log(2 * mp.pi) / 2) if x else far


def digamma_rest(centre):
    """ψ(centre + s) = (y - the zero)·rest(s), y = centre + s."""
    zero = mp.findroot(mp.digamma, 1.46)

    def rest(s):
        y = centre + s
        return mp.digamma(y) / (y - zero) if abs(y - zero) > mp.mpf(10) ** -25 else mp.psi(1, zero)

    return rest


def digamma_far(z):
    """ψ(x) = ln x - 1/(2x) - rest(1/x²)/x²."""
    x = 1 / mp.sqrt(z) if z > mp.mpf(10) ** -12 else None
    far = mp.mpf(1) / 12 - z / 120 + z**2 / 252 - z**3 / 240
    return x * x * (mp.log(x) - 1 / (2 * x) - mp.digamma(x)) if x else far


def piece(rest_around, centre, half, n):
    """A fit around a centre; lanes choose between such pieces, so all of them have as many coefficients."""
    return rest_around(mp.mpf(centre)), -mp.mpf(half), mp.mpf(half), n, 13


def fit(f, a, b, n):
    """The n coefficients with which the error is nearly as small as it can be."""
    return mp.chebyfit(f, [a, b], n)


def fit_times_square(f, a, b, n):
    """The same for the error times r², between -b and b: exact at the zeros of a Chebyshev polynomial of r², whose
    first zero is moved to 0. The other coefficients make up for the rounding of the last, which is felt most."""
    count = n // 2 + 1
    zeros = [mp.cos((2 * k + 1) * mp.pi / (2 * count)) for k in range(count)]
    roots = [b * mp.sqrt((t - zeros[-1]) / (1 - zeros[-1])) for t in zeros[:-1]]
    nodes = [*roots, *[-r for r in roots], *[mp.mpf(0)] * (n % 2)]
    powers = mp.matrix([[r**k for k in reversed(range(n))] for r in nodes])
    last = mp.mpf(float(mp.lu_solve(powers, mp.matrix([f(r) for r in nodes]))[n - 1]))
    return [*mp.lu_solve(powers[:, : n - 1], mp.matrix([f(r) - last for r in nodes])), last]


def fits():
    """Name -> (function, from, to, coefficients for float64, for float32, and how it is fitted if not by `fit`)."""
    half = mp.log(2) / 2 * mp.mpf("1.0001")
    s = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)
    return {
        "EXP": (exp_rest, -half, half, 10, 5, fit_times_square),
        "COSH": (cosh_rest, mp.mpf(0), half**2, 5, 3),
        "SINH": (sinh_rest, mp.mpf(0), half**2, 5, 3),
        "LOG": (log_rest, mp.mpf(0), s**2 * mp.mpf("1.001"), 7, 3),
        "LONG_LOG": (long_log_rest, mp.mpf(0), s**2 * mp.mpf("1.001"), 8, 3),
        "SIN": (sin_rest, mp.mpf(0), (mp.pi / 4) ** 2 * mp.mpf("1.001"), 6, 4),
        "COS": (cos_rest, mp.mpf(0), (mp.pi / 4) ** 2 * mp.mpf("1.001"), 6, 3),
        "ATAN": (atan_rest, mp.mpf(0), mp.tan(mp.pi / 8) ** 2 * mp.mpf("1.001"), 11, 5),
        "ERF": (erf_rest, mp.mpf(0), mp.mpf(1), 12, 6),
        "ERF_FAR": (erf_far, mp.mpf(1) / 9, mp.mpf(1) / 4, 16, 8),
        "ERFCX": (erfcx_rest, mp.mpf(-1), 1 - mp.mpf(10) ** -10, 26, 12),
        "LGAMMA_LOW": piece(lgamma_rest, "0.875", "0.375", 27),
        "LGAMMA": piece(lgamma_rest, "2", "0.75", 27),
        "LGAMMA_HIGH": piece(lgamma_rest, "4.875", "2.125", 27),
        "LGAMMA_FAR": (lgamma_far, mp.mpf(0), mp.mpf(1) / 49, 9, 4),
        "DIGAMMA": piece(digamma_rest, "1.75", "0.75", 28),
        "DIGAMMA_HIGH": piece(digamma_rest, "4.75", "2.25", 28),
        "DIGAMMA_FAR": (digamma_far, mp.mpf(0), mp.mpf(1) / 49, 8, 4),
        "ASIN": (asin_rest, mp.mpf(0), mp.mpf("0.2503"), 13, 6),
    }


def fitted():
    with mp.workdps(60), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer versions want the order of powers named
        return {
            name: {
                bits: tuple(float(c) for c in (*how, fit)[0](f, a, b, n))
                for bits, n in ((64, long), (32, short))
            }
            for name, (f, a, b, long, short, *how) in fits().items()
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
