"""The web site: which function answers which path."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from urllib.parse import parse_qs

from shop.accounts import views as accounts
from shop.catalog import views as catalog
from shop.checkout import views as checkout
from shop.errors import Invalid, NotFound
from shop.reports import views as reports

Handler = Callable[[dict[str, str]], object]

ROUTES: dict[str, Handler] = {
    "/": catalog.front_page,
    "/search": catalog.search_page,
    "/product": catalog.product_page,
    "/cart": checkout.show_cart,
    "/checkout": checkout.check_out,
    "/login": accounts.log_in,
    "/account": accounts.show_account,
    "/reports/daily": reports.daily,
}


def application(environ: dict[str, str], start_response: Callable[..., object]) -> Iterable[bytes]:
    query = {key: values[0] for key, values in parse_qs(environ["QUERY_STRING"]).items()}
    handler = ROUTES.get(environ["PATH_INFO"])
    try:
        if handler is None:
            raise NotFound(environ["PATH_INFO"])
        status, answer = "200 OK", handler(query)
    except NotFound as error:
        status, answer = "404 Not Found", {"error": str(error)}
    except Invalid as error:
        status, answer = "400 Bad Request", {"error": str(error)}
    body = json.dumps({"worker": os.getpid(), "answer": answer}).encode()
    start_response(status, [("Content-Type", "application/json")])
    return [body]
