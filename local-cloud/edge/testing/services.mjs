// What the edge calls: sign-in keys, origin and models, on one port, under the tests' control.

import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

const KEYS = {
  RS256: generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
};
export const FIRST_STUDENT = "00000000-0000-0000-0000-00000000000a";
export const OTHER_STUDENT = "00000000-0000-0000-0000-00000000000b";
export const ADMIN = "00000000-0000-0000-0000-00000000000c";

/** Bytes of text, citations, and the sum over both, as the edge counts them too. */
export const ID = "32-0-4152816651";
const event = (name, data) => `id: ${ID}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
export const DELTA = event("delta", { text: "Keep the wrist level — always." });
export const DONE = event("done", {
  finish_reason: "complete",
  confidence: 0.8,
  usage: { input_tokens: 9, output_tokens: 4, cache_read_tokens: 0, cache_write_tokens: 0 },
});

export class Services {
  /** What was called, in order. */
  calls = [];
  /** What the edge's tail Worker has told, of each invocation. */
  told = [];
  /** So many times it is told to come back. */
  refusesLines = 0;
  /** Files by document: who may have them, and what the edge is told of them. */
  files = {};
  /** The purges that everybody's scope names. */
  purges = { everything: 0, reader: 0, answers: [] };
  /** Writes an answer; tests replace it. */
  answer = (response) => response.end(DELTA + DONE);

  async start() {
    this.server = createServer((request, response) => this.#serve(request, response));
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  /** Options of run.mjs that point the edge here. */
  options() {
    return [
      ...["--ai-url", `${this.url}/ai`],
      ...["--var", `ORIGIN_URL=${this.url}`],
      ...["--var", `SUPABASE_URL=${this.url}`],
      ...["--var", `JWT_ISSUER=${this.url}/auth/v1`],
    ];
  }

  /** An access token for an hour; `changes` are lies about its claims. */
  token(person, algorithm = "RS256", changes = {}, key = KEYS[algorithm].privateKey) {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      sub: person,
      iss: `${this.url}/auth/v1`,
      aud: "authenticated",
      role: "authenticated",
      app_metadata: { role: "student" },
      iat: now,
      exp: now + 3600,
      ...changes,
    };
    const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const data = `${part({ alg: algorithm, typ: "JWT", kid: algorithm })}.${part(claims)}`;
    return `${data}.${sign("sha256", data, { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }

  async #serve(request, response) {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const body = Buffer.concat(pieces).toString();
    const { pathname } = new URL(request.url, this.url);
    const json = (value) => response.setHeader("content-type", "application/json").end(JSON.stringify(value));
    if (pathname === "/auth/v1/.well-known/jwks.json") {
      const keys = Object.entries(KEYS).map(([alg, { publicKey }]) => ({
        ...publicKey.export({ format: "jwk" }),
        ...{ kid: alg, alg, use: "sig", key_ops: ["verify"] },
      }));
      return json({ keys });
    }
    if (request.headers.upgrade) {
      // The binding tries remote procedure calls over a web socket first.
      response.statusCode = 426;
      return response.end();
    }
    if (pathname.startsWith("/ai")) return json(this.#model(request, JSON.parse(body)));
    if (pathname === "/api/health") return json({ status: "ok", version: "0" });
    if (request.headers["x-etude-edge-token"] !== "edge-token") {
      response.statusCode = 403;
      return json({});
    }
    if (pathname === "/v1/edge-lines") {
      if (this.refusesLines-- > 0) response.statusCode = 503;
      else this.told.push(...JSON.parse(body).invocations);
      return response.end();
    }
    this.calls.push(pathname);
    const person = JSON.parse(Buffer.from(request.headers.authorization.split(".")[1], "base64url")).sub;
    const [, document] = /^\/v1\/documents\/([^/]+)\/file$/.exec(pathname) ?? [];
    const known = this.files[document];
    if (known?.readers.includes(person)) return json(known.file);
    if (document) {
      response.statusCode = 404;
      response.setHeader("content-type", "application/problem+json");
      return response.end(JSON.stringify({ type: "urn:etude:problem:not-found", title: "Not found", status: 404 }));
    }
    switch (pathname) {
      case "/v1/scope":
        return json(this.#scope(person));
      case "/v1/retrieve":
        return json({ passages: [1, 2, 3, 4].map((n) => passage(person, n)), scope: this.#scope(person) });
      case "/v1/admin/cache/purge": {
        const generation = this.purges.answers.length + 1;
        this.purges.answers.push({ id: JSON.parse(body).answer, generation });
        return json({ generation, readers: [person, FIRST_STUDENT] });
      }
      case "/v1/answer":
        response.setHeader("content-type", "text/event-stream");
        response.flushHeaders();
        return this.answer(response, request);
      default:
        response.statusCode = 404;
        return json({});
    }
  }

  #scope(person) {
    return { scope_version: createHash("sha256").update(person).digest("hex"), purges: this.purges };
  }

  #model(request, { inputs }) {
    const model = request.headers["mf-header-cf-consn-model-id"];
    this.calls.push(model);
    if (model === "@local/reranker") {
      return { response: inputs.contexts.map((_, id) => ({ id, score: id })).reverse().slice(0, inputs.top_k) };
    }
    const data = inputs.text.map((text) => Array.from({ length: 768 }, (_, i) => (text.length + i) / 1000));
    return { shape: [data.length, 768], data, pooling: inputs.pooling };
  }
}

function passage(person, n) {
  const id = `${person.slice(0, -12)}${String(n).padStart(11, "0")}${person.slice(-1)}`;
  return {
    chunk_id: id,
    document_id: id,
    document_title: `For ${person}`,
    page_start: n,
    page_end: n,
    section: null,
    content: `Passage ${n} for ${person}`,
    content_sha256: "0".repeat(64),
    scoring: { vector_rank: n, vector_distance: 0.2, lexical_rank: null, lexical_score: null, fused_score: 1 / (60 + n) },
  };
}
