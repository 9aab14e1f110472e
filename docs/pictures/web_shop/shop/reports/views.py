"""Reports for the staff."""

from __future__ import annotations

from shop.catalog.products import PRODUCTS
from shop.errors import Invalid


def daily(query: dict[str, str]) -> object:
    kind = query.get("kind", "stock")
    if kind == "stock":
        return {each.name: each.stock for each in PRODUCTS.values()}
    if kind == "value":
        return {each.name: each.stock * each.cents for each in PRODUCTS.values()}
    raise Invalid("this report is not known")
