"""The ASGI application: routes over sessions, with the heavy work in a thread pool."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sessions import Sessions
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from work import analyse, parse, render, search

sessions = Sessions()


async def upload(request: Request) -> Response:
    """Keeps a document in the user's session, and a line about it in the user's account."""
    user, name = request.path_params["user"], request.path_params["name"]
    session = sessions.of(user)
    document = await run_in_threadpool(parse, name, await request.body())
    session.add(document)
    account = sessions.accounts.setdefault(user, {})
    account[name] = {"bytes": len(document.body), "records": len(document.records)}
    return JSONResponse({"records": len(document.records), "words": len(document.index)})


async def read(request: Request) -> Response:
    """One document's records."""
    document = sessions.of(request.path_params["user"]).documents.get(request.path_params["name"])
    if document is None:
        return JSONResponse({"error": "no such document"}, status_code=404)
    return JSONResponse(document.records)


async def find(request: Request) -> Response:
    """The records nearest to a vector, over all the user's documents."""
    session = sessions.of(request.path_params["user"])
    query = json.loads(await request.body())["query"]
    found = await run_in_threadpool(search, list(session.documents.values()), query)
    return JSONResponse(found)


async def statistics(request: Request) -> Response:
    """What a series of numbers is like; keeps nothing."""
    sessions.of(request.path_params["user"])
    values = json.loads(await request.body())["values"]
    return JSONResponse(await run_in_threadpool(analyse, values))


async def export(request: Request) -> Response:
    """Everything the user has, as one text."""
    session = sessions.of(request.path_params["user"])
    text = await run_in_threadpool(render, list(session.documents.values()))
    return Response(text, media_type="text/tab-separated-values")


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    """Sessions expire while the service runs."""
    sweeper = asyncio.create_task(sessions.sweep_for_ever())
    yield
    sweeper.cancel()


app = Starlette(
    routes=[
        Route("/users/{user}/documents/{name}", upload, methods=["PUT"]),
        Route("/users/{user}/documents/{name}", read, methods=["GET"]),
        Route("/users/{user}/search", find, methods=["POST"]),
        Route("/users/{user}/statistics", statistics, methods=["POST"]),
        Route("/users/{user}/export", export, methods=["GET"]),
    ],
    lifespan=lifespan,
)
