"""multiprocessing, billiard and loky: nothing of theirs needs a patch.

Their children start by os.fork(), by _posixsubprocess.fork_exec() or by a fork server that was
itself started so, and end by os._exit() or a signal: the process adapters see all of that, and a
fact needs no clean end to survive."""

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from covsup.concurrency.process import Patch


class MultiprocessingAdapter:
    """Says which library starts the processes."""

    name = "multiprocessing"
    wakes_on = ("multiprocessing", "billiard", "loky")
    patches: "tuple[Patch, ...]" = ()

    def arm(self, module: "ModuleType", tell: "Callable[[ModuleType], None]") -> None:
        """Tell that `module` is in use."""
        tell(module)


ADAPTER = MultiprocessingAdapter()
