"""Pages of the catalog."""

from __future__ import annotations

from shop.catalog import search
from shop.catalog.products import PRODUCTS, by_group, product
from shop.errors import Invalid


def front_page(query: dict[str, str]) -> object:
    groups: dict[str, list[str]] = {}
    for each in PRODUCTS.values():
        groups.setdefault(each.group, []).append(each.name)
    if query.get("sort") == "name":
        for names in groups.values():
            names.sort()
    return groups


def search_page(query: dict[str, str]) -> object:
    words = query.get("q", "").strip()
    if not words:
        raise Invalid("search for what?")
    found = search.find(words)
    if not found and "suggest" in query:
        return {"found": [], "suggestions": suggestions(words)}
    return {"found": [each.name for each in found]}


def suggestions(words: str) -> list[str]:
    near = sorted(PRODUCTS.values(), key=lambda each: search.distance(words, each.name))
    return [each.name for each in near[:3]]


def product_page(query: dict[str, str]) -> object:
    shown = product(int(query.get("number", "0")))
    also = [each.name for each in by_group(shown.group) if each is not shown]
    answer = {"name": shown.name, "price": shown.price, "also": also}
    if shown.stock == 0:
        answer["note"] = "sold out"
    elif shown.stock < 5:
        answer["note"] = f"only {shown.stock} left"
    return answer
