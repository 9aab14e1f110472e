"""The products of the shop."""

from __future__ import annotations

from dataclasses import dataclass

from shop.errors import NotFound


@dataclass(frozen=True)
class Product:
    number: int
    name: str
    cents: int
    stock: int
    group: str

    @property
    def price(self) -> str:
        if self.cents % 100 == 0:
            return f"{self.cents // 100} EUR"
        return f"{self.cents / 100:.2f} EUR"

    def discounted(self, percent: int) -> int:
        if not 0 <= percent <= 90:
            raise ValueError("a discount is from 0 to 90 percent")
        return self.cents * (100 - percent) // 100


PRODUCTS = {
    each.number: each
    for each in [
        Product(1, "teapot", 3450, 12, "kitchen"),
        Product(2, "kettle", 4900, 3, "kitchen"),
        Product(3, "notebook", 450, 200, "paper"),
        Product(4, "fountain pen", 2800, 0, "paper"),
        Product(5, "reading lamp", 7900, 5, "light"),
        Product(6, "candle", 300, 80, "light"),
    ]
}


def product(number: int) -> Product:
    try:
        return PRODUCTS[number]
    except KeyError:
        raise NotFound(f"product {number}") from None


def by_group(group: str) -> list[Product]:
    return [each for each in PRODUCTS.values() if each.group == group]
