"""The site's settings, views and addresses, and the WSGI application that gunicorn serves."""

from __future__ import annotations

import os
from pathlib import Path

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path

settings.configure(
    DEBUG=True,  # otherwise templates do not know their lines
    SECRET_KEY="an example has no secrets",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [Path(__file__).with_name("templates")],
        }
    ],
)
django.setup()

STOCK = {"tea": 3, "salt": 0}


def goods(request: HttpRequest) -> HttpResponse:
    return render(request, "goods.html", {"goods": STOCK.items(), "worker": os.getpid()})


def one(request: HttpRequest, name: str) -> HttpResponse:
    if name not in STOCK:
        raise Http404(name)
    return render(request, "one.html", {"name": name, "left": STOCK[name]})


urlpatterns = [path("", goods), path("<name>", one)]
application = WSGIHandler()
