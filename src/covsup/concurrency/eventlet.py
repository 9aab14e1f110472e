"""eventlet: nothing of it needs a patch.

As for gevent; eventlet.green.os and eventlet.green.subprocess call the wrapped functions, and
eventlet.tpool starts its threads by the original threading."""

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from covsup.concurrency.process import Patch


class EventletAdapter:
    """Says that greenlets are scheduled by eventlet."""

    name = "eventlet"
    wakes_on = ("eventlet",)
    patches: "tuple[Patch, ...]" = ()

    def arm(self, module: "ModuleType", tell: "Callable[[ModuleType], None]") -> None:
        """Tell that `module` is in use."""
        tell(module)


ADAPTER = EventletAdapter()
