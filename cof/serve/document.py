"""The server's OpenAPI document: what its routes take and give. FastAPI writes it from the routes; bodies, which the routes
read themselves, and refusals are put in here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

PLACE = "#/components/schemas/{model}"


class ErrorDetail(BaseModel):
    """What was wrong, in one sentence."""

    message: str
    type: str
    param: str | None
    code: str


class Failure(BaseModel):
    """Every reply that is none: 4xx where the request should change or come later, 5xx where the model failed."""

    error: ErrorDetail


def _refused(why: str) -> dict[str, Any]:
    schema = {"$ref": PLACE.format(model=Failure.__name__)}
    return {"description": why, "content": {"application/json": {"schema": schema}}}


REFUSALS: dict[int | str, dict[str, Any]] = {"4XX": _refused("Refused"), "5XX": _refused("The model failed")}
REPLY: dict[int | str, dict[str, Any]] = {
    200: {"description": "The reply; with `stream`, its pieces", "content": {"text/event-stream": {}}}
}


def body(request: type[BaseModel]) -> dict[str, Any]:
    """What is added to the document of a route whose body is a `request`."""
    schema = {"$ref": PLACE.format(model=request.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def documented(app: FastAPI, requests: Iterable[type[BaseModel]]) -> Callable[[], dict[str, Any]]:
    """The document of all routes of the application, with the `requests` that `body` refers to."""
    named: list[type[BaseModel]] = [Failure, *requests]
    _, models = models_json_schema([(each, "validation") for each in named], ref_template=PLACE)
    plain = app.openapi

    def document() -> dict[str, Any]:
        found = plain()
        found["components"] = {"schemas": models["$defs"]}
        return found

    return document
