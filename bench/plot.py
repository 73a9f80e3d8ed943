"""python -m bench.plot times.json picture.svg: ratios of a topic as bars; needs matplotlib."""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

RIVALS = ("C++", "torch", "jax", "casadi", "autograd", "eager")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.plot", description="Draw the ratios of a run of the benchmarks."
    )
    parser.add_argument("numbers", type=Path, help="what python -m bench --json wrote")
    parser.add_argument("picture", type=Path, help="the picture: .svg, .png or .pdf")
    parser.add_argument("--topic", default="compiled", help="which benchmarks (default: compiled)")
    options = parser.parse_args()
    numbers = json.loads(options.numbers.read_text(encoding="utf-8"))
    results = [r for r in numbers["results"] if r["topic"] == options.topic]
    if not results:
        parser.error(f"no results of the topic {options.topic!r} in {options.numbers}")
    draw(results, f"{numbers['machine']}\n{numbers['date']}").savefig(options.picture, bbox_inches="tight")


def draw(results: list[dict], caption: str) -> plt.Figure:
    """A row for each benchmark, a mark for each rival: how many times longer it takes."""
    figure, axes = plt.subplots(figsize=(8, 0.55 * len(results) + 1.6))
    for rival in RIVALS:
        rows = [(1 / r["ratios"][rival], k) for k, r in enumerate(results) if rival in r["ratios"]]
        if rows:
            axes.scatter(*zip(*rows, strict=True), label=rival, s=36, zorder=3)
    axes.axvline(1.0, color="0.3", linewidth=1)
    axes.set_xscale("log")
    axes.set_yticks(range(len(results)), [r["name"] for r in results])
    axes.invert_yaxis()
    axes.set_xlabel("time of the rival over ours (right of the line: ours is quicker)")
    axes.grid(axis="x", color="0.9", zorder=0)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.18), ncols=len(RIVALS), frameon=False)
    figure.text(0.01, -0.02, caption, fontsize=6, color="0.4")
    return figure


if __name__ == "__main__":
    main()
