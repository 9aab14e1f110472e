"""Pages of the accounts."""

from __future__ import annotations

from shop.accounts import passwords
from shop.errors import Invalid

USERS = {"ada": passwords.hashed("analytical engine")}


def log_in(query: dict[str, str]) -> object:
    name = query.get("name", "")
    if name not in USERS:
        raise Invalid("this name is not known")
    if not passwords.matches(query.get("password", ""), USERS[name]):
        raise Invalid("the password is wrong")
    return {"welcome": name}


def show_account(query: dict[str, str]) -> object:
    name = query.get("name", "")
    if name not in USERS:
        raise Invalid("log in first")
    return {"name": name, "orders": []}


def register(query: dict[str, str]) -> object:
    name = query.get("name", "")
    if not name.isidentifier():
        raise Invalid("a name has letters and digits")
    if name in USERS:
        raise Invalid("this name is taken")
    if passwords.strength(query.get("password", "")) == "weak":
        raise Invalid("choose a longer password")
    USERS[name] = passwords.hashed(query["password"])
    return {"welcome": name}


def delete(query: dict[str, str]) -> object:  # pragma: no cover
    del USERS[query["name"]]
    return {"deleted": True}
