"""The pictures that chainrule draws, on one page, and the one in the README.

python -m docs.pictures [folder]      writes site/pictures.html (or into the folder) and docs/images/graph.svg
"""

from __future__ import annotations

import sys
from pathlib import Path

import chainrule as cr
from chainrule.draw import Figure, GraphDrawing, Page, Paragraph, Section, Text, plot_matrix

README_PICTURE = Path(__file__).with_name("images") / "graph.svg"


def mixed() -> GraphDrawing:
    """The lecture's mixed example: leaf, unnamed leaf, constant, unused, computed, output."""
    w1 = cr.tensor(1.0, requires_grad=True)
    c1 = cr.tensor(-2.0)
    w2 = cr.tensor(2.0)
    w3 = cr.tensor(0.0, requires_grad=True)
    c2 = cr.tensor(10.0, requires_grad=True) + 1.0
    L = (w1 + c1) ** 2 + w2**3 + 4 * c2
    found = cr.graph(L)
    assert w3.grad is None
    return found


def looped() -> GraphDrawing:
    """A recurrent computation of 40 turns, folded."""
    x = cr.tensor(0.5, requires_grad=True)
    b = cr.tensor(1.5, requires_grad=True)
    c = cr.tensor(0.2)
    h = x
    for _ in range(40):
        u = h * b
        h = cr.tanh(u) + c
    loss = (h - 1) ** 2
    return cr.graph(loss)


def layer() -> GraphDrawing:
    """A dense layer: arrays by their shape and span."""
    X = cr.linspace(-1.0, 1.0, 24).reshape(8, 3)
    W = cr.linspace(-0.5, 0.5, 6).reshape(3, 2).requires_grad_(True)
    b = cr.zeros(2, requires_grad=True)
    loss = (cr.relu(X @ W + b) ** 2).mean()
    return cr.graph(loss)


def page() -> Page:
    """Every kind of picture, with the line that makes it."""
    return Page(
        "What chainrule draws",
        "Each picture is data first: the same numbers as SVG, as text in a terminal, as JSON, and in matplotlib.",
        [_functions(), _descents(), _graphs(), _elsewhere()],
    )


def _functions() -> Section:
    cubic = cr.plot(lambda w: 4 * w + w**3, at=1.0)
    bowl = cr.plot(lambda a, b: (a - 2) ** 2 + (b + 3) ** 2, at=(0.0, 0.0))
    saddle = cr.plot(
        lambda w: w[0] ** 2 - w[1] ** 2 + w[0] * w[1], at=[0.5, -0.5], between=((-2, 2), (-2, 2))
    )
    bars = cr.plot(lambda w: cr.norm(w) ** 2, at=[0.1, 0.0, -0.2, 0.3])
    jacobian = plot_matrix([[2.0], [-4.0]], ["a[0]", "a[1]"], ["z"], title="∂a/∂z at z = −1")
    return Section("Functions", [
        Text("cr.plot(lambda w: 4*w + w**3, at=1.0)"),
        Figure(cubic, "The tangent at a point: its slope is the derivative."),
        Text("cr.plot(lambda a, b: (a - 2)**2 + (b + 3)**2, at=(0.0, 0.0))"),
        Figure(bowl, "Lines of equal value; the arrow goes against the gradient, at a right angle to them."),
        Text("cr.plot(lambda w: w[0]**2 - w[1]**2 + w[0]*w[1], at=[0.5, -0.5], between=((-2, 2), (-2, 2)))"),
        Figure(saddle, "A saddle: there is no minimum that way."),
        Text("cr.plot(lambda w: cr.norm(w)**2, at=[0.1, 0.0, -0.2, 0.3])"),
        Figure(bars, "With more unknowns: the value of each, and the slope along it."),
        Text('plot_matrix(cr.jacobian(a, z).tolist(), ["a[0]", "a[1]"], ["z"])'),
        Figure(jacobian, "A Jacobian: a row for each output, a column for each input."),
    ])  # fmt: skip


def _descents() -> Section:
    far = cr.minimize(lambda w: (w[0] - 2) ** 2 + 8 * (w[1] + 3) ** 2, [0.0, 0.0], lr=0.1)
    stalled = cr.minimize(
        lambda w: (w[0] - 2) ** 2 + (w[1] + 3) ** 2, cr.tensor([0.0, 0.0], dtype=cr.float32)
    )
    many = cr.minimize(lambda w: ((w - cr.arange(12.0)) ** 2).sum(), [0.0] * 12, lr=0.05)
    return Section("Descents", [
        Text("cr.minimize(lambda w: (w[0] - 2)**2 + 8*(w[1] + 3)**2, [0.0, 0.0], lr=0.1).plot()"),
        Figure(far.plot(), "Narrow valleys make a descent leap from side to side."),
        Text('cr.minimize(f, cr.tensor([0.0, 0.0], dtype=cr.float32)).plot("convergence")'),
        Figure(stalled.plot("convergence"), "In float32 the step becomes too small to change w: stalled."),
        Text("cr.minimize(lambda w: ((w - target)**2).sum(), [0.0] * 12, lr=0.05).plot()"),
        Figure(many.plot(), "With many unknowns: the loss above its lowest, and the size of the gradient."),
    ])  # fmt: skip


def _graphs() -> Section:
    caption = "Values flow to the right, gradients back to the left. The shape and the border of a box say what it is."
    return Section("Graphs", [
        Text("cr.graph(L)"),
        Figure(mixed(), caption),
        Figure(layer(), "Arrays by shape, smallest, mean and largest entry."),
        Figure(looped(), "More than 80 values: a box per line; lines of a loop that use each other are one box."),
    ])  # fmt: skip


def _elsewhere() -> Section:
    text = Text(mixed().to_text(), caption="The same graph in a terminal")
    words = Paragraph(
        "In a notebook a picture shows as an image with a table below it, which survives the sanitiser of JupyterLab "
        'and Colab. picture.save("graph.svg"), .html, .txt and .json write it; picture.to_matplotlib(ax) draws a '
        "figure on axes of yours. The bytes are the same on every run and every machine."
    )
    return Section("Elsewhere", [words, text])


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "site")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pictures.html").write_text(page().to_html(), encoding="utf-8")
    README_PICTURE.write_text(mixed().to_svg() + "\n", encoding="utf-8")
    print(folder / "pictures.html")
