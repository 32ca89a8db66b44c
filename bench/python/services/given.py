"""Vectors that are there already."""

from langchain_core.embeddings import Embeddings


class Given(Embeddings):
    """Stands where a model would: nothing is ever embedded."""

    def embed_documents(self, texts: list) -> list:
        raise NotImplementedError

    def embed_query(self, text: str) -> list:
        raise NotImplementedError
