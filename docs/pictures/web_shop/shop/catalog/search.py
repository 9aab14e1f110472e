"""Find products by words."""

from __future__ import annotations

from functools import lru_cache

from shop.catalog.products import PRODUCTS, Product


@lru_cache(maxsize=256)
def find(words: str) -> tuple[Product, ...]:
    scored = []
    for each in PRODUCTS.values():
        score = sum(points(word, each) for word in words.lower().split())
        if score > 0:
            scored.append((score, each))
    scored.sort(key=lambda pair: (-pair[0], pair[1].name))
    return tuple(each for _, each in scored)


def points(word: str, product: Product) -> int:
    if word == product.name:
        return 10
    if product.name.startswith(word):
        return 5
    if word in product.name:
        return 3
    if word == product.group:
        return 2
    return 1 if len(word) > 3 and distance(word, product.name) <= 2 else 0


def distance(one: str, other: str) -> int:
    """How many letters have to change."""
    before = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b)))
        before = row
    return before[-1]
