"""What a program that knows about coverage may call itself.

Everything here is harmless in a process that covsup does not measure: it then does nothing, and
loads nothing. It imports only what Python has imported at its start.
"""

import sys

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = ["active", "context", "switch_context"]

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # of co_flags


def active() -> bool:
    """Whether covsup measures this process."""
    return _tracer() is not None


def switch_context(label: str | None) -> None:
    """From now on, what the current thread, greenlet or task executes is recorded under `label`.

    It holds until it is switched again; None or an empty text ends it. Labels of `context()` and
    of the settings that are there stay, and are joined with it by "|".
    """
    if label is not None and not isinstance(label, str):
        raise TypeError(f"a context's label is a str, not {type(label).__name__}")
    tracer = _tracer()
    if tracer is not None:
        tracer.switch_context(label or None)


class context:  # noqa: N801 - used like a function
    """What is executed inside is recorded under `label`: a context manager and a decorator.

    Contexts nest; the labels are joined by "|", the outermost first. Threads, greenlets, tasks and
    processes that are started inside belong to it.
    """

    def __init__(self, label: str) -> None:
        """Nothing happens before it is entered."""
        if not isinstance(label, str):
            raise TypeError(f"a context's label is a str, not {type(label).__name__}")
        self._label = label
        self._entered: list[object] = []

    def __enter__(self) -> "context":
        """Begin."""
        tracer = _tracer()
        self._entered.append(None if tracer is None else tracer.enter_context(self._label))
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End, in the flow that this is called in."""
        token = self._entered.pop()
        tracer = None if token is None else _tracer()
        if tracer is not None:
            tracer.leave_context(token)

    def __call__(self, function: "Callable[P, R]") -> "Callable[P, R]":
        """Decorate a function, generator function, or async function: each call is inside."""
        label = self._label
        made: Any
        flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
        if flags & _COROUTINE:
            made = _coroutine(label, function)
        elif flags & _ASYNC_GENERATOR:
            made = _async_generator(label, function)
        elif flags & _GENERATOR:
            made = _generator(label, function)
        else:

            def made(*args: "P.args", **kwargs: "P.kwargs") -> "R":
                with context(label):
                    return function(*args, **kwargs)

        for name in ("__module__", "__name__", "__qualname__", "__doc__", "__dict__"):
            if name == "__dict__":
                made.__dict__.update(getattr(function, name, {}))
            elif hasattr(function, name):
                setattr(made, name, getattr(function, name))
        made.__wrapped__ = function
        decorated: Callable[P, R] = made
        return decorated


def _coroutine(label: str, function: "Callable[..., Any]") -> "Callable[..., Any]":
    async def made(*args: object, **kwargs: object) -> object:
        with context(label):
            return await function(*args, **kwargs)

    return made


def _generator(label: str, function: "Callable[..., Any]") -> "Callable[..., Any]":
    def made(*args: object, **kwargs: object) -> "Any":
        flow = function(*args, **kwargs)
        step: Any = flow.send
        value: Any = None
        while True:
            with context(label):  # around each step: what happens between them is not inside
                try:
                    item = step(value)
                except StopIteration as end:
                    return end.value
            try:
                value = yield item
                step = flow.send
            except GeneratorExit:
                with context(label):
                    flow.close()
                raise
            except BaseException as error:  # noqa: BLE001 - the generator's own affair
                value, step = error, flow.throw

    return made


def _async_generator(label: str, function: "Callable[..., Any]") -> "Callable[..., Any]":
    async def made(*args: object, **kwargs: object) -> "Any":
        flow = function(*args, **kwargs)
        step: Any = flow.asend
        value: Any = None
        while True:
            with context(label):
                try:
                    item = await step(value)
                except StopAsyncIteration:
                    return
            try:
                value = yield item
                step = flow.asend
            except GeneratorExit:
                with context(label):
                    await flow.aclose()
                raise
            except BaseException as error:  # noqa: BLE001 - the generator's own affair
                value, step = error, flow.athrow

    return made


def _tracer() -> "ModuleType | None":
    """The C module of a process that is measured. Never loads it."""
    tracer = sys.modules.get("covsup.tracer_c._tracer")
    if tracer is None or not hasattr(tracer, "switch_context") or not tracer.parent_value():
        return None
    return tracer
