"""From a graph to a plan: which values are kept, where, in which order they are made, and in which loops.

Most programs are long along one axis, that of the samples. Values along it are made tile by tile, so that what is
between two of them stays in cache; in a tile the samples lie next to each other, so that every loop works on
vectors of samples, however short the other axes are. A value that no kernel can compute is a call of the primitive's
`value` between kernels.
"""

from __future__ import annotations

from chainrule.codegen.computed import picked
from chainrule.codegen.fuse import Steps, written
from chainrule.codegen.indexing import added, is_adding
from chainrule.codegen.lengths import length_of
from chainrule.codegen.places import Places
from chainrule.codegen.powers import consecutive_powers
from chainrule.codegen.rare import rare_condition
from chainrule.codegen.reading import REDUCTIONS, Read, axes_of, dot_axes, dot_idx, factors_of, operands
from chainrule.codegen.steps import Call, Gemm, Kernel, Output, Phase
from chainrule.codegen.views import FIRST, Axis, Terms, identity
from chainrule.ir.graph import Equation, Graph, Var
from chainrule.passes.cost import operations

LONG = 64  # samples from which tiles pay
_CACHE = 192 * 1024  # bytes kept for a tile: with what is read they stay in the second-level cache
_TILE_MOST = 4096
_SUMMED = 128  # samples in a tile from which products that are summed over them pay,
_PRODUCTS = 2**22  # if a tile of so many bytes, which goes to the third-level cache, holds them
_MOST_CHUNKS = 16
_CHUNK_WORK = 400_000  # operations: some 0.2 ms, several times what it costs to wake a thread
_SUM_ENTRIES = 1_000_000  # of all chunks together: 8 MB, which are added once more


class Plan(Places):
    """The steps of a graph, and the places of what they keep.

    steps
        `Kernel` (on whole arrays), `Phase` and `Call`, in order.

    Parameters
    ----------
    long, tile
        Samples from which an axis is that of the samples, and the most in a tile: tests make them small.
    cache
        Bytes for what is kept in a tile.
    """

    def __init__(
        self, graph: Graph, *, long: int = LONG, tile: int = _TILE_MOST, cache: int = _CACHE
    ) -> None:
        super().__init__(graph, long)
        self._most, self._cache = tile, cache
        self.steps: list[Kernel | Phase | Call] = []
        self._schedule()

    def _schedule(self) -> None:
        """Phase by phase: what is there before it, then its tiles."""
        steps, before, tiled = Steps(), self._before(), self._tiled()
        for p in range(max(self.ready.values(), default=0) + 1):
            for e in before.get(p, ()):
                if e in self.calls:
                    steps.append(Call(e, self.calls[e]), e.outs)
                else:
                    self._add(steps, e, None)
            kernels = Steps()
            for e in tiled.get(p, ()):
                if e in self.products:
                    kernels.append(self._product(e, p), e.outs)
                else:
                    self._add(kernels, e, p)
            if kernels.steps:
                phase = Phase(p, self.axis.extent, self._length(p), kernels.steps)
                phase.chunks = self._chunks(phase)
                steps.append(phase, written(phase))
        self.steps = steps.steps

    def _before(self) -> dict[int, list[Equation]]:
        """Phase -> what is computed whole before it."""
        found: dict[int, list[Equation]] = {}
        for e in self.graph.equations:
            v = e.outs[0]
            if e in self.calls or (self.places.get(v) not in (None, "sum") and not self.is_tiled(v)):
                found.setdefault(self.ready[v], []).append(e)
        return found

    def _tiled(self) -> dict[int, list[Equation]]:
        """Phase -> what is computed and kept in its tiles."""
        found = {}
        for p in range(max(self.ready.values(), default=0) + 1):
            equations = {*self.roots.get(p, ()), *(self.made[v] for v in self.tiles[p])}
            found[p] = sorted(equations, key=self._order.__getitem__)
        return found

    def _add(self, steps: Steps, e: Equation, phase: int | None) -> None:
        kernel = self._kernel(e, phase)
        steps.add(kernel, *self._read(kernel.outputs[0], phase))

    def _chunks(self, phase: Phase) -> int:
        """Chunks of a phase: as many as pay, as there are tiles, and as there is room for sums."""
        work = sum(operations(self.made[o.var]) for k in phase.kernels for o in k.outputs)
        sums = sum(o.var.type.size for o in phase.sums)
        most = _SUM_ENTRIES // sums if sums else _MOST_CHUNKS
        return max(1, min(_MOST_CHUNKS, work // _CHUNK_WORK, -(-phase.samples // phase.tile), most))

    def _length(self, p: int) -> int:
        """Samples in a tile: whole vectors of the widest kernels, as many as the cache holds of what is kept."""
        widest = 256 // self.dtype.itemsize
        per_sample = sum(v.type.size // self.axis.extent for v in self.tiles[p]) * self.dtype.itemsize
        most = self._cache // per_sample if per_sample else self._most
        if any(e in self.products and self.sums_samples(e) for e in self.roots.get(p, ())):
            # Each tile adds to a whole matrix: with few samples most of the time goes into that.
            most = max(most, min(_SUMMED, _PRODUCTS // per_sample)) if per_sample else most
        return max(widest, min(self._most, most) // widest * widest)

    def _kernel(self, e: Equation, phase: int | None) -> Kernel:
        """The loops of one value: its own dimensions, along the samples last; of a sum those of what is summed."""
        v = e.outs[0]
        if is_adding(e):
            axes, where, out = self._scattered(e, phase)
        elif phase is not None and self.sums_samples(e):
            axes, where, out = self._summed(e)
        else:
            axes = [Axis(n) for n in v.shape]
            where = self.axis.dim(v) if phase is not None else len(axes) - 1
            place = "tile" if phase is not None and v in self.tiles[phase] else "whole"
            out = Output(v, identity(axes), place)
        inner = [axes[where]] if axes else []
        outer = [a for k, a in enumerate(axes) if not inner or k != where]
        vector = bool(inner) and (phase is not None or inner[0].extent > 1)
        kernel = Kernel((*outer, *inner), vector, phase, [out])
        sums = out.combine == "add" and not out.scattered
        if sums and len(out.factors) == 1 and v.dtype == self.dtype:
            kernel.guard = rare_condition(self, *out.factors[0])
        if out.combine is None:
            kernel.turns = phase is not None and self.is_turned(e)
            kernel.powers = consecutive_powers(self, e, out.idx, inner[0] if inner else None)
        return kernel

    def _scattered(self, e: Equation, phase: int | None) -> tuple[list[Axis], int, Output]:
        """Loops over what is added at places that arrays tell."""
        x = e.inputs[0]
        axes = [Axis(n) for n in x.shape]
        where = len(axes) - 1 if phase is None else self.axis.dim(x)
        v, idx = added(e, axes)
        out = Output(
            v,
            idx,
            "whole" if phase is None else "sum",
            e.params["combine"],
            [(x, identity(axes))],
            scattered=True,
        )
        return axes, where or 0, out

    def _product(self, e: Equation, phase: int) -> Gemm:
        batch, m, n, k, left, right = factors_of(e)
        combine = "add" if self.sums_samples(e) else None
        place = "sum" if combine else "whole" if e.outs[0] in self.places else "tile"
        out = Output(e.outs[0], identity([*batch, m, n]), place, combine, [left, right])
        samples = k if combine else n if self.axis.dim(e.inputs[0]) is None else m
        left, right = self.in_memory(left, phase), self.in_memory(right, phase)
        if place == "tile" and samples is m:  # there they lie next to each other
            m, n, left, right = n, m, right, left
        return Gemm(out, batch, m, n, k, samples, left, right, phase)

    def in_memory(self, read: Read, phase: int) -> Read:
        """The kept value behind views, and its entry."""
        v, idx = read
        while not self.is_array(v) and not self.is_kept(v, phase):
            ((v, idx),) = operands(self.made[v], idx)
        return v, idx

    def _summed(self, e: Equation) -> tuple[list[Axis], int, Output]:
        """Loops over what is summed, which of them is along the samples, and what they add up."""
        combine = REDUCTIONS.get(e.name, "add")
        if e.name in REDUCTIONS:
            x = e.inputs[0]
            axes = [Axis(n) for n in x.shape]
            axis, keep = axes_of(e), e.params.get("keepdims", False)
            where = self.axis.dim(x)
            assert where is not None
            idx = tuple(
                FIRST if k in axis else (a, 1, 0) for k, a in enumerate(axes) if keep or k not in axis
            )
            return axes, where, Output(e.outs[0], idx, "sum", combine, [(x, identity(axes))])
        batch, free_x, free_y, contracted = dot_axes(e)
        idx = identity([*batch, *free_x, *free_y])
        along = self.axis.summed(e)
        assert along is not None
        where = e.params["contract"][0].index(along[0])
        factors = list(zip(e.inputs, dot_idx(e, idx, identity(contracted)), strict=True))
        axes = [*batch, *free_x, *free_y, *contracted]
        return axes, len(axes) - len(contracted) + where, Output(e.outs[0], idx, "sum", combine, factors)

    def reads(self, out: Output, phase: int | None) -> dict[Var, list[Terms]]:
        """The kept values that an output reads, and at which entries."""
        return self._read(out, phase)[0]

    def _read(self, out: Output, phase: int | None) -> tuple[dict[Var, list[Terms]], int]:
        """The same, and how long it is to compute it from them."""
        found: dict[Var, list[Terms]] = {}
        seen: set[Read] = set()
        size = length_of(self.made[out.var])
        stack = list(out.factors) if out.combine else operands(self.made[out.var], out.idx)
        stack += [(a.var, a.idx) for a in picked(out.idx)]
        while stack:
            v, idx = stack.pop()
            if (v, idx) in seen:
                continue
            seen.add((v, idx))
            if self.is_array(v) or self.is_kept(v, phase):
                found.setdefault(v, []).append(idx)
            else:
                size += length_of(self.made[v])
                stack += operands(self.made[v], idx)
        return found, size

    def has_loop(self, out: Output, phase: int | None) -> bool:
        """Whether an entry of an output is computed by a loop of its own: a reduction that is kept nowhere."""
        stack, seen = [self.made[out.var]] if out.combine is None else [], set()
        stack += [self.made[v] for v, _ in out.factors if v in self.made and not self.is_kept(v, phase)]
        while stack:
            e = stack.pop()
            if e.name in REDUCTIONS or e.name == "dot_general":
                return True
            for v in e.inputs:
                g = self.made.get(v)
                if g is not None and g not in seen and not self.is_kept(v, phase):
                    seen.add(g)
                    stack.append(g)
        return False

    def is_kept(self, v: Var, phase: int | None) -> bool:
        """Whether a kernel of this phase reads v from memory rather than computing it."""
        return v in self.places or (phase is not None and v in self.tiles[phase])
