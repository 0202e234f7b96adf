"""FastAPI service: the system lives as long as the application, and requests wait for workers, not for each other.

Run it:

    python examples/07_fastapi_service.py

It needs two packages more: pip install 'fastapi>=0.115' 'httpx>=0.27'

You should see:

    POST /words: 200 {'counts': [3, 6]}
    POST /words without texts: 422
    GET /health: 200 {'workers': 2}
    8 requests at a time: [0, 1, 2, 3, 4, 5, 6, 7]
    the application is down, and so is the system: SystemDown
"""

import asyncio
import sys
from contextlib import asynccontextmanager

import slither_actors as slither

NEEDS = {"fastapi": "fastapi>=0.115", "httpx": "httpx>=0.27"}

try:
    from fastapi import FastAPI, Request
    from httpx import ASGITransport, AsyncClient
except ModuleNotFoundError:
    print("skipped; it needs: pip install", *(f"'{need}'" for need in NEEDS.values()), file=sys.stderr)
    raise SystemExit from None


def count_words(texts):
    return [len(text.split()) for text in texts]


@asynccontextmanager
async def lifespan(app):
    """Started with the application and stopped with it; what is being worked on comes to its end before."""
    with slither.start(pools={"default": 2}) as system:
        app.state.system = system
        yield


app = FastAPI(lifespan=lifespan)


# No `async`: FastAPI runs these in threads, which may wait. The handle of the system serves any thread.
@app.post("/words")
def words(texts: list[str], request: Request):
    results = request.app.state.system.dispatch(texts, count_words, batch_size=8)
    return {"counts": [item.payload for item in results]}


@app.get("/health")
def health(request: Request):
    return {"workers": request.app.state.system.statistics()["pools"]["default"]["up"]}


async def main():
    """What a server such as uvicorn does, `uvicorn module:app`: the lifespan, and requests within it."""
    async with lifespan(app), AsyncClient(transport=ASGITransport(app), base_url="http://service") as client:
        answer = await client.post("/words", json=["one two three", "to be or not to be"])
        print("POST /words:", answer.status_code, answer.json())
        print("POST /words without texts:", (await client.post("/words", json={"text": 1})).status_code)
        answer = await client.get("/health")
        print("GET /health:", answer.status_code, answer.json())
        answers = await asyncio.gather(*(client.post("/words", json=["a " * number]) for number in range(8)))
        print("8 requests at a time:", [count for one in answers for count in one.json()["counts"]])


asyncio.run(main())
try:
    app.state.system.dispatch(["late"], count_words)
except slither.SystemDown as error:
    print("the application is down, and so is the system:", type(error).__name__)
