"""gevent: nothing of it needs a patch.

A fact belongs to the code object that ran it, under sys.monitoring, or to its frame, under
settrace: no switch can mix two greenlets up. gevent.os and gevent.subprocess fork by the os.fork
that is wrapped at the source, before or after monkey.patch_all(); its thread pool starts threads
by _thread."""

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from covsup.concurrency.process import Patch


class GeventAdapter:
    """Says that greenlets are scheduled by gevent."""

    name = "gevent"
    wakes_on = ("gevent",)
    patches: "tuple[Patch, ...]" = ()

    def arm(self, module: "ModuleType", tell: "Callable[[ModuleType], None]") -> None:
        """Tell that `module` is in use."""
        tell(module)


ADAPTER = GeventAdapter()
