"""A cart and its total."""

from __future__ import annotations

from shop.catalog.products import Product, product
from shop.errors import Invalid, OutOfStock

VOUCHERS = {"WELCOME": 10, "FRIEND": 20}


class Cart:
    """Products and how many of each."""

    def __init__(self) -> None:
        self.lines: dict[int, int] = {}

    @classmethod
    def parse(cls, text: str) -> Cart:
        """From "1x2,6x1": two of product 1, one of product 6."""
        cart = cls()
        for part in filter(None, text.split(",")):
            number, _, amount = part.partition("x")
            if not number.isdigit() or (amount and not amount.isdigit()):
                raise Invalid(f"{part} is not a product and an amount")
            cart.add(product(int(number)), int(amount or 1))
        return cart

    def add(self, chosen: Product, amount: int) -> None:
        wanted = self.lines.get(chosen.number, 0) + amount
        if wanted > chosen.stock:
            raise OutOfStock(chosen.name, chosen.stock)
        self.lines[chosen.number] = wanted

    def remove(self, number: int) -> None:
        if number not in self.lines:
            raise Invalid("it is not in the cart")
        del self.lines[number]

    def total(self, voucher: str | None = None) -> int:
        cents = sum(product(number).cents * amount for number, amount in self.lines.items())
        if voucher is not None:
            if voucher not in VOUCHERS:
                raise Invalid("this voucher is not known")
            cents -= cents * VOUCHERS[voucher] // 100
        if cents < 5000 and self.lines:
            cents += 490  # shipping
        return cents
