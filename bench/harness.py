"""Times ours and its rivals in one run, interleaved, after checking that all of them compute the same."""

import gc
import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from statistics import median
from time import perf_counter, thread_time
from types import ModuleType

import numpy as np

Thunk = Callable[[], object]
Parts = dict[str, float]  # what a time is made of, in seconds
Contenders = dict[str, Thunk]

OURS = "chainrule"
ROUNDS = 15
BATCH = 0.02  # seconds: long beside one reading of the clock, short beside a change in the machine's load

BENCHMARKS: dict[str, "Benchmark"] = {}
ABSENT: set[str] = set()


# --- what a benchmark states ---


Times = dict[str, list[float]]  # seconds per call of each contender, by rounds


@dataclass(frozen=True, slots=True)
class Ratio:
    """The goal: ours takes at most so many times the time of a rival."""

    at_most: float
    rival: str

    def reached(self, times: Times) -> float:
        return median(by_round(lambda ours, theirs: ours / theirs, times[OURS], times[self.rival]))

    def __str__(self) -> str:
        return f"≤ {self.at_most:g}× {self.rival}"


@dataclass(frozen=True, slots=True)
class Beyond:
    """The goal: ours takes at most so many seconds more than a rival."""

    at_most: float
    rival: str

    def reached(self, times: Times) -> float:
        return median(by_round(lambda ours, theirs: ours - theirs, times[OURS], times[self.rival]))

    def __str__(self) -> str:
        return f"≤ {self.rival} + {show_time(self.at_most)}"


@dataclass(frozen=True, slots=True)
class AtMost:
    """The goal: ours takes at most so many seconds (per element, where times are)."""

    at_most: float
    rival: str = OURS

    def reached(self, times: Times) -> float:
        return median(times[OURS])

    def __str__(self) -> str:
        return f"≤ {show_time(self.at_most)}"


@dataclass(frozen=True, slots=True)
class Net:
    """The goal: ours takes at most so many times the time of a rival, the cost of a call taken off both.

    empty
        The contenders that only pass arguments and results: ours, and the rival's. Their times are taken off in each
        round.
    """

    at_most: float
    rival: str
    empty: tuple[str, str]

    def reached(self, times: Times) -> float:
        net = lambda ours, theirs, our_call, their_call: (ours - our_call) / (theirs - their_call)
        return median(by_round(net, times[OURS], times[self.rival], *(times[name] for name in self.empty)))

    def __str__(self) -> str:
        return f"≤ {self.at_most:g}× {self.rival}, calls taken off"


Goal = Ratio | Beyond | AtMost | Net


def by_round(f: Callable[..., float], *times: Sequence[float]) -> list[float]:
    """Contenders compared round by round: a slow minute of the machine hits all of them."""
    return [f(*seconds) for seconds in zip(*times, strict=True)]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A function that prepares, checks and returns the contenders, and what is known beforehand."""

    name: str
    topic: str
    what: str
    limit: str
    prepare: Callable[[], Contenders]
    goal: Goal | None = None
    elements: int | None = None
    rounds: int = ROUNDS


def benchmark(
    *,
    sizes: Sequence[int] = (),
    per: str = "call",
    goal: Goal | None = None,
    name: str | None = None,
    rounds: int = ROUNDS,
):
    """Register a benchmark.

    Its docstring says what is timed and, after ``Limit:``, what the machine would allow. With `sizes` it
    takes the size as its argument and is registered once for each; ``per="element"`` divides by the size.
    """

    def register(prepare):
        what, limit = _read_docstring(prepare)
        for size in sizes or (None,):
            full_name = (name or prepare.__name__) + (f"[{size}]" if size else "")
            BENCHMARKS[full_name] = Benchmark(
                name=full_name,
                topic=prepare.__module__.rpartition(".")[2].removeprefix("bench_"),
                what=what,
                limit=limit,
                prepare=(lambda size=size: prepare(size)) if size else prepare,
                goal=goal,
                elements=size if per == "element" else None,
                rounds=rounds,
            )
        return prepare

    return register


def _read_docstring(prepare: Callable) -> tuple[str, str]:
    what, found, limit = " ".join((inspect.getdoc(prepare) or "").split()).partition("Limit:")
    if not found:
        raise TypeError(
            f"the docstring of {prepare.__name__} does not say 'Limit: …', what the machine allows"
        )
    return what.strip(" ."), limit.strip(" .")


def rival(module: str) -> ModuleType | None:
    """An optional contender, on one thread; None where it is not installed, which the summary says."""
    try:
        found = importlib.import_module(module)
    except ImportError:
        ABSENT.add(module)
        return None
    if module == "torch":
        found.set_num_threads(1)
    return found


def race(
    reference: object,
    contenders: dict[str, Thunk | None],
    *,
    result: Callable[[Thunk], object] = lambda thunk: thunk(),
    rtol: float = 1e-12,
    atol: float = 0.0,
) -> Contenders:
    """The contenders that are present, each checked before any is timed.

    `reference` is an array or number, or a tuple of them; `result` makes the same from a contender, by
    default in one call.
    """
    present = {name: thunk for name, thunk in contenders.items() if thunk is not None}
    for name, thunk in present.items():
        _check(name, result(thunk), reference, rtol, atol)
    return present


def _check(name: str, result: object, reference: object, rtol: float, atol: float) -> None:
    results = result if isinstance(result, tuple) else (result,)
    references = reference if isinstance(reference, tuple) else (reference,)
    for actual, desired in zip(results, references, strict=True):
        np.testing.assert_allclose(
            np.asarray(actual), np.asarray(desired), rtol, atol, err_msg=f"{name} differs from the reference"
        )


class Clocked:
    """A contender whose time is taken elsewhere: `run()` gives its result and the parts of its time."""

    def __init__(self, run: Callable[[], tuple[object, Parts]]) -> None:
        self.run, self.parts = run, []

    def __call__(self) -> object:
        result, parts = self.run()
        self.parts.append(parts)
        return result

    def seconds(self) -> float:
        self()
        return sum(self.parts[-1].values())

    def __str__(self) -> str:
        """The medians of the parts, without those that take no time."""
        middle = {name: median(p[name] for p in self.parts) for name in self.parts[0]}
        least = sum(middle.values()) / 1000
        return ", ".join(f"{name} {show_time(t)}" for name, t in middle.items() if t > least)


# --- timing ---


_now = perf_counter


def take_processor_time() -> None:
    """Time by the processor's clock for this thread: on a machine where others work too."""
    global _now
    _now = thread_time


def measure(contenders: Contenders, rounds: int) -> Times:
    """Seconds per call of each contender in each round. Every round begins with another contender."""
    gc.collect()  # and leave it on: what the collector does to a tape is part of its cost
    calls = {name: calls_per_batch(thunk) for name, thunk in contenders.items()}
    times: Times = {name: [] for name in contenders}
    names = list(contenders)
    for k in range(rounds):
        first = k % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(time_per_call(contenders[name], calls[name]))
    return times


def calls_per_batch(thunk: Thunk) -> int:
    """How many calls make a batch long enough to be timed."""
    if isinstance(thunk, Clocked):
        return 1
    calls = 1
    while (seconds := calls * time_per_call(thunk, calls)) < BATCH:
        calls = max(calls + 1, min(10 * calls, int(1.2 * calls * BATCH / seconds)))
    return calls


def time_per_call(thunk: Thunk, calls: int) -> float:
    if isinstance(thunk, Clocked):
        return thunk.seconds()
    start = _now()
    for _ in repeat(None, calls):
        thunk()
    return (_now() - start) / calls


# --- results ---


@dataclass(frozen=True, slots=True)
class Result:
    """The seconds per call of each contender, by rounds; of some what their times are made of."""

    benchmark: Benchmark
    times: Times
    parts: dict[str, str] = field(default_factory=dict)

    def ratios(self, other: str) -> list[float]:
        """Ours to a rival."""
        return by_round(lambda ours, theirs: ours / theirs, self.times[OURS], self.times[other])

    @property
    def reached(self) -> float | None:
        """The number that the goal bounds; None without a goal, or without the rival it names."""
        goal = self.benchmark.goal
        if goal is None or goal.rival not in self.times:
            return None
        found = goal.reached(self.times)
        return found / (self.benchmark.elements or 1) if isinstance(goal, AtMost) else found

    @property
    def met(self) -> bool | None:
        return None if self.reached is None else self.reached <= self.benchmark.goal.at_most

    def __str__(self) -> str:
        b = self.benchmark
        lines = [f"{b.name}: {b.what}", f"  limit      {b.limit}"]
        for name, times in self.times.items():
            line = f"  {name:<10} {show_times(times, b.elements)}"
            if name != OURS:
                ratios = self.ratios(name)
                line += f"   ours/{name} {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            lines.append(line)
        lines += [f"  {name}: {parts}" for name, parts in self.parts.items()]
        if b.goal:
            lines.append(f"  goal       {b.goal}: {self._verdict()}")
        return "\n".join(lines)

    def _verdict(self) -> str:
        goal = self.benchmark.goal
        if self.reached is None:
            return f"unknown, {goal.rival} is not installed"
        reached = f"{self.reached:.3g}×" if isinstance(goal, Ratio | Net) else show_time(self.reached)
        return f"{'met' if self.met else 'NOT MET'}, {reached}"

    def to_json(self) -> dict:
        b = self.benchmark
        return {
            "name": b.name,
            "topic": b.topic,
            "what": b.what,
            "limit": b.limit,
            "elements": b.elements,
            "seconds_per_call": self.times,
            "ratios": {name: median(self.ratios(name)) for name in self.times if name != OURS},
            "goal": str(b.goal) if b.goal else None,
            "reached": self.reached,
            "met": self.met,
        }


def run(b: Benchmark) -> Result:
    """Prepare, check, and time."""
    contenders = b.prepare()
    times = measure(contenders, b.rounds)
    return Result(b, times, {name: str(c) for name, c in contenders.items() if isinstance(c, Clocked)})


def show_times(times: Sequence[float], elements: int | None) -> str:
    """Median and range, e.g. `26.1 µs (25 to 30.2)`, in the unit of the median."""
    per, unit = (elements, "/element") if elements else (1, "")
    scale, symbol = _unit(median(times) / per)
    middle, low, high = (f"{t / per / scale:.3g}" for t in (median(times), min(times), max(times)))
    return f"{middle:>6} {symbol}{unit} ({low} to {high})"


def show_time(seconds: float) -> str:
    scale, symbol = _unit(seconds)
    return f"{seconds / scale:.3g} {symbol}"


def _unit(seconds: float) -> tuple[float, str]:
    return next(((s, name) for s, name in _UNITS if abs(seconds) >= s), (1e-9, "ns"))


_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
