"""`POST /v1/retrieve` with FastAPI and LangChain's PGVectorStore in its hybrid mode.

Settings beside those of `caller.py`: `DATABASE_URL`, SQLAlchemy's, and `DATABASE_CONNECTIONS`.
"""

import os
from contextlib import asynccontextmanager

import orjson
from caller import LIMIT, Claims, Question
from fastapi import FastAPI, Request, Response
from langchain_postgres import PGEngine
from langchain_table import COLUMNS, connect, hybrid, open_store
from sqlalchemy import text

OWNERS = text(
    "select teacher_id from public.teacher_student_relationships where student_id = cast(:reader as uuid)"
)
SHOWN = [name for name in COLUMNS if name not in ("owner_id", "is_public")]


@asynccontextmanager
async def lifespan(app: FastAPI):
    connections = int(os.environ["DATABASE_CONNECTIONS"])
    engine = connect(pool_size=connections, max_overflow=0)
    app.state.engine = engine
    app.state.store = await open_store(PGEngine.from_engine(engine), LIMIT)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/health")
async def health() -> dict:
    return {"status": "ok"}


@app.post("/v1/retrieve")
async def retrieve(question: Question, claims: Claims, request: Request) -> Response:
    state = request.app.state
    reader = claims["sub"]
    async with state.engine.connect() as connection:
        owners = list(await connection.scalars(OWNERS, {"reader": reader}))
    found = await state.store.asimilarity_search_with_score_by_vector(
        question.embedding.tolist(),
        k=LIMIT,
        filter={
            "$or": [
                {"is_public": {"$eq": True}},
                {"owner_id": {"$in": [reader, *map(str, owners)]}},
            ]
        },
        hybrid_search_config=hybrid(question.query, LIMIT),
    )
    passages = [
        {
            "chunk_id": document.id,
            **{name: document.metadata[name] for name in SHOWN},
            "section": None,
            "content": document.page_content,
            "score": score,
        }
        for document, score in found
    ]
    return Response(
        orjson.dumps({"passages": passages}, default=str), media_type="application/json"
    )
