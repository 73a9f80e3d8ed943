"""Whether operations are recorded: context variables, safe across threads, tasks and generators.

A mode set inside a generator holds only while that generator runs: `with no_grad(): yield x` does not
reach the caller of `next`.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from contextvars import ContextVar
from types import CodeType, FrameType
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.source import Source, here
from chainrule.tape.node import next_serial

_GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


class Mode:
    """What holds for the operations that run now.

    grad, inference
        Whether operations are recorded; whether results may never be.
    scope
        `(name, code, lasti, serial)` of the user-level operation that is running: a step for people.
    recorder
        What records a graph here (record/recorder.py): the innermost one, None in ordinary programs.
    frame, outer
        In a generator: the frame in which this mode holds, and the mode outside of it.
    """

    __slots__ = ("frame", "grad", "inference", "outer", "recorder", "scope")

    def __init__(
        self,
        grad: bool,
        inference: bool = False,
        scope: tuple[str, CodeType, int, int] | None = None,
        frame: FrameType | None = None,
        outer: Mode | None = None,
        recorder: Any = None,
    ) -> None:
        self.grad, self.inference, self.scope, self.frame, self.outer = grad, inference, scope, frame, outer
        self.recorder = recorder


# The mode of ordinary programs. Quick paths test `mode() is PLAIN` and nothing else.
PLAIN = Mode(True)
_MODE: ContextVar[Mode] = ContextVar("chainrule_mode", default=PLAIN)
mode = _MODE.get


def current() -> Mode:
    """The mode that holds here, generators considered."""
    m = _MODE.get()
    while m.frame is not None and not _on_stack(m.frame):
        assert m.outer is not None
        m = m.outer
    return m


def _on_stack(frame: FrameType) -> bool:
    f: FrameType | None = sys._getframe(1)
    while f is not None:
        if f is frame:
            return True
        f = f.f_back
    return False


def _living(m: Mode) -> Mode:
    """The mode itself, or the nearest one outside of it that was not left yet."""
    while m.frame is _GONE:
        assert m.outer is not None
        m = m.outer
    return m


def is_grad_enabled() -> bool:
    """Whether operations on tensors that require gradients are recorded here."""
    return current().grad


def is_inference_mode_enabled() -> bool:
    """Whether `inference_mode` holds here."""
    return current().inference


_PLAINLY = {
    (True, False): PLAIN,
    (False, False): Mode(False),
    (False, True): Mode(False, True),
    (True, True): Mode(True, True),
}


def plain_mode(grad: bool) -> Mode:
    """The mode of ordinary programs, or of ordinary programs under `no_grad`."""
    return _PLAINLY[grad, False]


class _Switch:
    """A mode as a context manager and a decorator (functions, generators, coroutines)."""

    _grad = True
    _inference = False
    __slots__ = ("_entered",)

    def __new__(cls, fn: Any = None) -> Any:
        self = object.__new__(cls)
        self._entered = None  # ((before, now), earlier): a stack, so that one object may be entered again
        return self if fn is None else self(fn)  # @no_grad without parentheses

    def _wanted(self) -> tuple[bool, bool]:
        return self._grad, self._inference or current().inference

    def __enter__(self) -> Any:
        self._enter(sys._getframe(1))
        return self

    def _enter(self, frame: FrameType) -> None:
        before = _living(_MODE.get())
        if before is PLAIN and not frame.f_code.co_flags & _GENERATOR:
            grad, inference = self._wanted()
            now = _PLAINLY[grad, inference]
        else:
            m = current()
            grad, inference = self._wanted()
            if frame.f_code.co_flags & _GENERATOR:
                now = Mode(grad, inference, m.scope, frame, before, m.recorder)
            elif grad and not inference and m.scope is None and m.recorder is None:
                now = PLAIN
            else:
                now = Mode(grad, inference, m.scope, recorder=m.recorder)
        self._entered = ((before, now), self._entered)
        _MODE.set(now)

    def __exit__(self, *exc: object) -> None:
        (before, now), self._entered = self._entered
        if _MODE.get() is now:
            _MODE.set(_living(before))
        elif now in _PLAINLY.values():
            pass  # left in another order than entered, e.g. by hand: what was set since holds
        else:  # generators left in another order than entered: this mode must not hold any more
            now.outer = _living(before)
            now.frame = _GONE
            _MODE.set(_living(_MODE.get()))  # what is left must not be chained to modes to come

    def _clone(self) -> _Switch:
        return type(self)()

    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(fn):
            name = type(self).__name__
            fix = f"write `with {name}():`, or put @{name}() above a function"
            raise ArgumentError(f"{name} decorates functions, not a {type(fn).__name__}", fix=fix).at(here())
        if inspect.isgeneratorfunction(fn):
            return _wrap_generator(self, fn)
        if inspect.iscoroutinefunction(fn):

            @functools.wraps(fn)
            async def coroutine(*args: Any, **kwargs: Any) -> Any:
                with self._clone():
                    return await fn(*args, **kwargs)

            return coroutine

        @functools.wraps(fn)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._clone():
                return fn(*args, **kwargs)

        return call


_GONE = sys._getframe()  # the frame of this module's import: never on the stack again


def _wrap_generator(switch: _Switch, fn: Callable[..., Any]) -> Callable[..., Any]:
    """A generator function whose every step runs under the mode."""

    @functools.wraps(fn)
    def generator(*args: Any, **kwargs: Any) -> Any:
        inner = fn(*args, **kwargs)
        step: Callable[[], Any] = lambda: next(inner)
        while True:
            try:
                with_mode = switch._clone()
                with_mode._enter(sys._getframe())
                try:
                    value = step()
                finally:
                    with_mode.__exit__()
            except StopIteration as stop:
                return stop.value
            try:
                sent = yield value
                step = lambda sent=sent: inner.send(sent)
            except GeneratorExit:
                inner.close()
                raise
            except BaseException as err:
                step = lambda err=err: inner.throw(err)

    return generator


class no_grad(_Switch):
    """Operations are not recorded: ``with no_grad(): w -= lr * w.grad``. Also a decorator.

    Examples
    --------
    >>> import chainrule as cr
    >>> w = cr.tensor(2.0, requires_grad=True)
    >>> with cr.no_grad():
    ...     y = w * w
    >>> y.requires_grad
    False
    """

    __slots__ = ()
    _grad = False


class enable_grad(_Switch):
    """Operations are recorded again, inside a `no_grad`. Also a decorator."""

    __slots__ = ()
    _grad = True


class inference_mode(_Switch):
    """As `no_grad`, and results can never take part in a computation that is recorded. Also a decorator."""

    _grad = False
    _inference = True

    __slots__ = ("_on",)

    def __new__(cls, mode: Any = True) -> Any:
        self = object.__new__(cls)
        self._entered, self._on = None, mode if isinstance(mode, bool) else True
        return self(mode) if callable(mode) else self

    def _wanted(self) -> tuple[bool, bool]:
        return (False, True) if self._on else (current().grad, current().inference)

    def _clone(self) -> _Switch:
        return type(self)(self._on)


class set_grad_enabled(_Switch):
    """Record or not, from now on, or inside a `with`; also a decorator: ``set_grad_enabled(train)``."""

    __slots__ = ("_on",)

    def __new__(cls, mode: bool) -> Any:
        self = object.__new__(cls)
        self._entered, self._on = None, bool(mode)
        self._enter(sys._getframe(1))
        return self

    def _wanted(self) -> tuple[bool, bool]:
        return self._on, current().inference

    def __enter__(self) -> Any:
        frame = sys._getframe(1)
        if self._entered and frame.f_code.co_flags & _GENERATOR:
            self.__exit__()  # made somewhere else: it holds while this generator runs
        if not self._entered:
            self._enter(frame)
        return self

    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        if self._entered:  # used as a decorator: nothing holds until the function is called
            self.__exit__()
        return super().__call__(fn)

    def _clone(self) -> _Switch:
        clone = type(self)(self._on)
        clone.__exit__()
        return clone


class scope:
    """Operations inside count as one user-level operation `name`, recorded with the user's line."""

    __slots__ = ("_before", "_now")

    def __init__(self, name: str, code: CodeType, lasti: int) -> None:
        self._before = _MODE.get()
        m = current()
        step = (name, code, lasti, next_serial())
        self._now = m if m.scope is not None else Mode(m.grad, m.inference, step, recorder=m.recorder)

    def __enter__(self) -> None:
        _MODE.set(self._now)

    def __exit__(self, *exc: object) -> None:
        _MODE.set(_living(self._before))  # a generator may have ended meanwhile


class recording(scope):
    """Operations inside are given to a recorder where they touch what it records."""

    __slots__ = ()

    def __init__(self, recorder: Any) -> None:
        self._before = _MODE.get()
        m = current()
        self._now = Mode(m.grad, m.inference, recorder=recorder)


class at_line:
    """Operations inside are recorded with the lines that `move` names, in the mode that holds around."""

    __slots__ = ("_around", "_before")

    def __enter__(self) -> None:
        self._before, self._around = _MODE.get(), current()

    def move(self, source: Source | None) -> None:
        """From now on operations have this line, and the user-level operation that it called."""
        m = self._around
        if source is not None and m.scope is None:
            step = (source.scope or "", source.code, source.lasti, source.call or 0)
            _MODE.set(Mode(m.grad, m.inference, step, recorder=m.recorder))

    def __exit__(self, *exc: object) -> None:
        _MODE.set(_living(self._before))
