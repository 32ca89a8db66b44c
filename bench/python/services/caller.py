"""Who asks, and what for: the part that both services have in common.

Settings come from the environment: `EDGE_TOKEN`, `JWT_ISSUER`, `JWT_AUDIENCE` and `JWT_KEY_SET`, the issuer's
key set as JSON.
"""

import hmac
import os
from base64 import b64decode
from typing import Annotated

import jwt
import numpy
from fastapi import Depends, Header, HTTPException
from pydantic import BaseModel, ConfigDict, field_validator

DIMENSIONS = 768
LIMIT = 20
EDGE_TOKEN = os.environ["EDGE_TOKEN"].encode()
ISSUER = os.environ["JWT_ISSUER"]
AUDIENCE = os.environ["JWT_AUDIENCE"]
KEYS = {key.key_id: key for key in jwt.PyJWKSet.from_json(os.environ["JWT_KEY_SET"])}


class Question(BaseModel):
    """The body of `POST /v1/retrieve`. The vector stands there as Base64 of little-endian 32-bit floats."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    query: str
    embedding: numpy.ndarray
    embedding_model: str
    filters: dict = {}

    @field_validator("embedding", mode="before")
    @classmethod
    def decode(cls, text: str) -> numpy.ndarray:
        vector = numpy.frombuffer(b64decode(text, validate=True), dtype="<f4")
        if vector.shape != (DIMENSIONS,):
            raise ValueError(f"an embedding has {DIMENSIONS} components")
        return vector


# Not `def`: FastAPI would hand each call to a thread.
async def claims(
    authorization: Annotated[str, Header()],
    x_etude_edge_token: Annotated[str, Header()],
) -> dict:
    """The claims of a token that is genuine, current and meant for us, on a call that came through the edge."""
    if not hmac.compare_digest(x_etude_edge_token.encode(), EDGE_TOKEN):
        raise HTTPException(403, "The call did not come through the edge.")
    scheme, _, token = authorization.partition(" ")
    try:
        if scheme.lower() != "bearer":
            raise jwt.InvalidTokenError("there is no bearer token")
        key = KEYS[jwt.get_unverified_header(token)["kid"]]
        return jwt.decode(
            token, key, algorithms=["RS256"], audience=AUDIENCE, issuer=ISSUER
        )
    except (jwt.InvalidTokenError, KeyError) as error:
        raise HTTPException(401, "The token is not good.") from error


Claims = Annotated[dict, Depends(claims)]
