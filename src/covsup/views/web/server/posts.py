"""Requests that change something: only the page itself may send them, and only a mark's name.

A page of another site could make the browser of a user send a request here. It does not know the token.
If it learned it, these rules would still stop it: browsers say which site sent a request, and ask
before they send JSON to another site.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

LARGEST_BODY: Final = 4096

LONGEST_NAME: Final = 200


def refusal_of_post(headers: Mapping[str, str]) -> str:
    """Why a request with these headers must not change anything; "" if it may.

    A program that is no browser sends neither of the two headers about its site.
    """
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return "the content type has to be application/json"
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return "the request comes from another site"
    origin, host = headers.get("origin"), headers.get("host", "")
    if origin is not None and origin.lower() != f"http://{host}".lower():
        return "the request comes from another site"
    return ""


def mark_name(body: bytes) -> str | None:
    """The name in the body of a request; None if there is none that is fit for a mark."""
    if len(body) > LARGEST_BODY:
        return None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    name = value.get("name") if isinstance(value, dict) else None
    if not isinstance(name, str):
        return None
    name = name.strip()
    return name if 0 < len(name) <= LONGEST_NAME and name.isprintable() else None
