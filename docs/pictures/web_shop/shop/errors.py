"""What can be wrong with a request."""


class NotFound(Exception):
    """There is no such page or product."""


class Invalid(Exception):
    """The request cannot be done."""


class OutOfStock(Invalid):
    """There are not as many."""

    def __init__(self, name: str, left: int) -> None:
        super().__init__(f"only {left} of {name} left")
        self.left = left
