"""Pay by card or by invoice."""

from __future__ import annotations

from shop.errors import Invalid


class Declined(Invalid):
    """The bank refuses the payment."""


def luhn(number: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit)
        if place % 2:
            value *= 2
            if value > 9:
                value -= 9
        total += value
    return total % 10 == 0


def pay_by_card(number: str, cents: int) -> str:
    if not number.isdigit() or not luhn(number):
        raise Invalid("this is not the number of a card")
    if number.startswith("4000"):
        raise Declined("the bank has declined the payment")
    return f"card-{number[-4:]}-{cents}"


def pay_by_invoice(name: str, cents: int) -> str:
    if cents > 20000:
        raise Declined("an invoice is possible up to 200 EUR")
    if not name:
        raise Invalid("an invoice needs a name")
    return f"invoice-{name}-{cents}"


def refund(receipt: str, cents: int) -> str:
    kind, _, rest = receipt.partition("-")
    if kind == "card":
        paid = int(rest.rpartition("-")[2])
        if cents > paid:
            raise Invalid("more than was paid")
        return f"refund-{rest}-{cents}"
    if kind == "invoice":
        return f"credit-{rest}-{cents}"
    raise Invalid("this is no receipt")
