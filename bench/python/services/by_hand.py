"""`POST /v1/retrieve` with FastAPI and asyncpg: one hand-written statement, under row-level security.

Settings beside those of `caller.py`: `DATABASE_URL`, `DATABASE_CONNECTIONS`, and `WORDS`: whether a passage is found
by `any` word of the question or must hold `every` one.
"""

import os
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import orjson
from caller import Claims, Question
from fastapi import FastAPI, Request, Response
from pgvector.asyncpg import register_vector
from pgvector.utils import HalfVector

SEARCH = (Path(__file__).parent / "by_hand.sql").read_text()
# One round trip; each setting ends with the transaction.
BECOME = """
select set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true),
       set_config('hnsw.ef_search', '100', true), set_config('plan_cache_mode', 'force_generic_plan', true)
"""
EVERY_WORD = {"any": False, "every": True}[os.environ["WORDS"]]
TIMEOUT_S = 10


async def set_up(connection: asyncpg.Connection) -> None:
    await register_vector(connection, schema="extensions")


async def leave_as_it_is(_connection: asyncpg.Connection) -> None:
    """Every setting ended with its transaction: asyncpg's own way to reset is a round trip for nothing."""


@asynccontextmanager
async def lifespan(app: FastAPI):
    connections = int(os.environ["DATABASE_CONNECTIONS"])
    async with asyncpg.create_pool(
        os.environ["DATABASE_URL"],
        min_size=connections,
        max_size=connections,
        init=set_up,
        reset=leave_as_it_is,
        command_timeout=TIMEOUT_S,
    ) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/health")
async def health() -> dict:
    return {"status": "ok"}


@app.post("/v1/retrieve")
async def retrieve(question: Question, claims: Claims, request: Request) -> Response:
    async with (
        request.app.state.pool.acquire(timeout=TIMEOUT_S) as connection,
        connection.transaction(readonly=True),
    ):
        await connection.fetchrow(BECOME, orjson.dumps(claims).decode())
        rows = await connection.fetch(
            SEARCH,
            HalfVector(question.embedding),
            question.embedding_model,
            question.query,
            claims["sub"],
            EVERY_WORD,
        )
    passages = [
        {
            "chunk_id": str(row["id"]),
            "document_id": str(row["doc_id"]),
            "document_title": row["title"],
            "page_start": row["page_start"],
            "page_end": row["page_end"],
            "section": row["section"],
            "content": row["content"],
            "content_sha256": row["content_sha256"],
            "score": row["score"],
        }
        for row in rows
    ]
    return Response(orjson.dumps({"passages": passages}), media_type="application/json")
