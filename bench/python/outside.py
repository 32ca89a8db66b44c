"""Ranks a collection with what a Python user would pick: bm25s, and LangChain's PGVectorStore in its hybrid mode.

Reads `input.json` in the folder given: the SQLAlchemy URL of an empty database with pgvector, the paths of
two .npy files with the vectors of documents and queries, and for each of those its text and its stems.
Writes `output.json` there: for each method the ranking of every query, document numbers from 0, best first.
"""

import json
import sys
from pathlib import Path

import bm25s
import numpy
import Stemmer
from langchain_core.embeddings import Embeddings
from langchain_postgres import PGEngine, PGVectorStore
from langchain_postgres.v2.hybrid_search_config import (
    HybridSearchConfig,
    reciprocal_rank_fusion,
    weighted_sum_ranking,
)

DEPTH = 100
TABLE = "documents"


def main(folder: Path) -> None:
    given = json.loads((folder / "input.json").read_text())
    documents, queries = given["documents"], given["queries"]
    rankings = {
        "bm25s on our stems": by_bm25s(
            [document["stems"] for document in documents],
            [query["stems"] for query in queries],
            k1=given["k1"],
            b=given["b"],
        ),
        "bm25s": by_bm25s(tokens_of(documents), tokens_of(queries), k1=1.5, b=0.75),
    }
    rankings |= by_langchain(given, documents, queries)
    (folder / "output.json").write_text(json.dumps(rankings))


def tokens_of(texts: list) -> list:
    """As bm25s's own documentation cuts English: its list of stop words, Snowball's stems."""
    return bm25s.tokenize(
        [text["text"] for text in texts],
        stopwords="en",
        stemmer=Stemmer.Stemmer("english"),
        return_ids=False,
        show_progress=False,
    )


def by_bm25s(documents: list, queries: list, k1: float, b: float) -> list:
    index = bm25s.BM25(method="lucene", k1=k1, b=b)
    index.index(documents, show_progress=False)
    rankings = []
    for query in queries:
        known = [token for token in query if token in index.vocab_dict]
        scores = index.get_scores(known) if known else numpy.zeros(len(documents))
        # Ties to the lower number.
        order = numpy.lexsort((numpy.arange(len(scores)), -scores))
        rankings.append([int(at) for at in order[:DEPTH] if scores[at] > 0])
    return rankings


class Given(Embeddings):
    """Vectors are there already."""

    def embed_documents(self, texts: list) -> list:
        raise NotImplementedError

    def embed_query(self, text: str) -> list:
        raise NotImplementedError


def by_langchain(given: dict, documents: list, queries: list) -> dict:
    engine = PGEngine.from_connection_string(given["database_url"])
    engine.init_vectorstore_table(
        TABLE,
        vector_size=768,
        hybrid_search_config=HybridSearchConfig(tsv_column="content_tsv"),
    )
    store = PGVectorStore.create_sync(
        engine,
        Given(),
        TABLE,
        metadata_columns=[],
        hybrid_search_config=HybridSearchConfig(tsv_column="content_tsv"),
        k=DEPTH,
    )
    vectors = numpy.load(given["document_vectors"]).tolist()
    store.add_embeddings(
        [document["text"] for document in documents],
        vectors,
        metadatas=[{"number": number} for number in range(len(documents))],
    )
    query_vectors = numpy.load(given["query_vectors"]).tolist()

    def rankings(depth: int, fusion) -> list:
        found = []
        for query, vector in zip(queries, query_vectors, strict=True):
            # A new one each time: a store keeps the first question's words for good.
            config = HybridSearchConfig(
                tsv_column="content_tsv",
                fts_query=query["text"],
                fusion_function=fusion,
                fusion_function_parameters={"fetch_top_k": 2 * depth},
                primary_top_k=depth,
                secondary_top_k=depth,
            )
            hits = store.similarity_search_by_vector(
                vector, k=depth, hybrid_search_config=config
            )
            found.append([hit.metadata["number"] for hit in hits])
        return found

    return {
        "LangChain hybrid, weighted sum (its default)": rankings(
            DEPTH, weighted_sum_ranking
        ),
        "LangChain hybrid, RRF of top 20": rankings(20, reciprocal_rank_fusion),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
