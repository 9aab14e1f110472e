"""asyncio: nothing of it needs a patch.

Tasks are coroutines, whose frames the cores know as any other; to_thread() and executors start
threads and processes that the process adapters see."""

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from covsup.concurrency.process import Patch


class AsyncioAdapter:
    """Says that an event loop may be in use."""

    name = "asyncio"
    wakes_on = ("asyncio",)
    patches: "tuple[Patch, ...]" = ()

    def arm(self, module: "ModuleType", tell: "Callable[[ModuleType], None]") -> None:
        """Tell that `module` is in use."""
        tell(module)


ADAPTER = AsyncioAdapter()
