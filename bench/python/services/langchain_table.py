"""LangChain's own table with all passages of the library, copied from the product's, and its indexes.

Made in the schema `langchain` of the database at `DATABASE_URL`, by whoever owns it, as LangChain makes it; the
rows are copied in SQL, since putting 10,000 of them through the store takes minutes and comes to the same.
"""

import asyncio
import os

from given import Given
from langchain_postgres import Column, PGEngine, PGVectorStore
from langchain_postgres.v2.hybrid_search_config import HybridSearchConfig
from langchain_postgres.v2.indexes import HNSWIndex
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

SCHEMA = "langchain"
TABLE = "passages"
COLUMNS = {
    "owner_id": "uuid",
    "is_public": "boolean",
    "document_id": "uuid",
    "document_title": "text",
    "page_start": "int",
    "page_end": "int",
    "content_sha256": "text",
}
COPY = f"""
insert into {SCHEMA}.{TABLE} (
    langchain_id, content, embedding, content_tsv, owner_id, is_public, document_id, document_title, page_start,
    page_end, content_sha256, langchain_metadata
)
select c.id, c.content, c.embedding::vector, to_tsvector('pg_catalog.english', c.content), c.owner_id, c.is_public,
       c.doc_id, d.title, c.page_start, c.page_end, c.content_sha256, '{{}}'
from public.document_chunks c join public.knowledge_base_docs d on d.id = c.doc_id
"""


SETTINGS = {
    # Supabase keeps extensions in a schema of their own.
    "search_path": "public, extensions",
    # Without it, the index gives too little where the filter takes much away.
    "hnsw.iterative_scan": "strict_order",
}


def connect(**pool) -> AsyncEngine:
    """A pool of connections to the database at `DATABASE_URL`."""
    return create_async_engine(
        os.environ["DATABASE_URL"], connect_args={"server_settings": SETTINGS}, **pool
    )


def hybrid(query: str = "", depth: int = 20) -> HybridSearchConfig:
    """Lists of so many by vector and by words. A new one for each question: a store keeps the first one's words."""
    return HybridSearchConfig(
        tsv_column="content_tsv",
        fts_query=query,
        primary_top_k=depth,
        secondary_top_k=depth,
    )


async def open_store(engine: PGEngine, depth: int = 20) -> PGVectorStore:
    return await PGVectorStore.create(
        engine,
        Given(),
        TABLE,
        schema_name=SCHEMA,
        metadata_columns=list(COLUMNS),
        hybrid_search_config=hybrid(depth=depth),
        k=depth,
    )


async def main() -> None:
    sqlalchemy = connect()
    engine = PGEngine.from_engine(sqlalchemy)
    async with sqlalchemy.begin() as connection:
        await connection.execute(text(f"create schema {SCHEMA}"))
    await engine.ainit_vectorstore_table(
        TABLE,
        vector_size=768,
        schema_name=SCHEMA,
        metadata_columns=[Column(name, kind) for name, kind in COLUMNS.items()],
        hybrid_search_config=hybrid(),
    )
    async with sqlalchemy.begin() as connection:
        await connection.execute(text(COPY))
    store = await open_store(engine)
    await store.aapply_vector_index(HNSWIndex())
    await store.aapply_hybrid_search_index()
    await sqlalchemy.dispose()


if __name__ == "__main__":
    asyncio.run(main())
