"""Ask a gradient where it comes from, and a missing one why it is missing."""

import chainrule as cr

price = cr.tensor(3.0, requires_grad=True)
rate = cr.tensor(0.2)  # a constant: nothing asked for its gradient
demand = 10 * cr.exp(-rate * price)
revenue = price * demand
revenue.backward()

print(cr.explain(revenue))
print()
print(cr.why(price.grad))
print()
print(cr.why(rate.grad))
