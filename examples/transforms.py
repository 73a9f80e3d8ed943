"""One function, every derivative: gradient, Jacobian, Hessian, and derivatives of derivatives."""

import numpy as np

import chainrule as cr


def energy(x):
    """A chain of springs with soft walls; NumPy's functions and chainrule's mix freely."""
    stretch = x[1:] - x[:-1]
    return 0.5 * (stretch**2).sum() + np.exp(-x).sum()


x = np.array([0.1, 0.9, 2.1])
print("value      ", energy(cr.tensor(x)))
print("gradient   ", cr.grad(energy)(x))
print("Hessian\n", cr.hessian(energy, x))
print("along ones ", cr.jvp(energy, (x,), (np.ones(3),))[1])
print("H times ones", cr.hvp(energy, x, np.ones(3))[1])
print("third derivative of t³ at 2:", cr.grad(cr.grad(cr.grad(lambda t: t**3)))(2.0))
