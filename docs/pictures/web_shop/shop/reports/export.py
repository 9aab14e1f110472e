"""Reports as files. Nothing in the site calls it."""

from __future__ import annotations

import csv
import io

from shop.catalog.products import PRODUCTS


def as_csv(columns: list[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for each in PRODUCTS.values():
        writer.writerow([getattr(each, column) for column in columns])
    return text.getvalue()


def as_markdown(columns: list[str]) -> str:
    rows = [columns, ["---"] * len(columns)]
    for each in PRODUCTS.values():
        rows.append([str(getattr(each, column)) for column in columns])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


class Summary:
    """Sums by group."""

    def __init__(self) -> None:
        self.stock: dict[str, int] = {}

    def add(self, group: str, amount: int) -> None:
        self.stock[group] = self.stock.get(group, 0) + amount

    def lines(self) -> list[str]:
        width = max(map(len, self.stock), default=0)
        return [f"{group:{width}} {amount:6}" for group, amount in sorted(self.stock.items())]
