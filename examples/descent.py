"""Descend to a minimum by hand, and with a result that says how it ended."""

import chainrule as cr


def loss(w):
    return (w[0] - 2) ** 2 + (w[1] + 3) ** 2


w = cr.tensor([0.0, 0.0], requires_grad=True)
steps, norm = 0, float("inf")
while norm > 1e-6:
    w.grad = None
    loss(w).backward()
    with cr.no_grad():
        w -= 0.01 * w.grad
    norm, steps = w.grad.norm().item(), steps + 1
print(f"by hand: {steps} steps to {w.detach()}")

result = cr.minimize(loss, [0.0, 0.0], lr=0.01, tol=1e-6, progress=False)
print(result)
