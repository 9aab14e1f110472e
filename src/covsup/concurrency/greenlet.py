"""greenlet: nothing of it needs a patch.

A switch exchanges the frames of a thread. The monitoring core asks for no stack, and the settrace
core keeps by frame what it has to remember."""

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from covsup.concurrency.process import Patch


class GreenletAdapter:
    """Says that greenlets are in use."""

    name = "greenlet"
    wakes_on = ("greenlet",)
    patches: "tuple[Patch, ...]" = ()

    def arm(self, module: "ModuleType", tell: "Callable[[ModuleType], None]") -> None:
        """Tell that `module` is in use."""
        tell(module)


ADAPTER = GreenletAdapter()
