// From a question to the passages that answer it.

import type { Context } from "hono";
import type { Bindings, Environment } from "./bindings";
import * as caches from "./caches";
import type { FoundPassage, Passage, Purges, Scope } from "./caches";
import { Problem } from "./problem";
import { stage } from "./stages";

const ANSWER_PASSAGES = 3;

export interface Question {
  userId: string;
  authorization: string;
  asked: string;
  normalised: string;
  documentIds: string[];
}

export interface Found {
  passages: FoundPassage[];
  purges: Purges;
  scope: string;
  search: string;
  embedding: string;
  degraded: string[];
}

/** Calls the origin on the asker's behalf. */
export function callOrigin(
  c: Context<Environment>,
  question: Question,
  path: string,
  accept: string,
  timeoutMs: number,
  body?: object,
) {
  const headers: Record<string, string> = {
    accept,
    authorization: question.authorization,
    "x-request-id": c.var.requestId,
    traceparent: c.var.traceparent,
    "x-etude-edge-token": c.env.EDGE_TOKEN,
  };
  if (body) headers["content-type"] = "application/json";
  return fetch(c.env.ORIGIN_URL + path, {
    method: body ? "POST" : "GET",
    headers,
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(timeoutMs),
  });
}

async function askOrigin<T>(c: Context<Environment>, question: Question, path: string, timeoutMs: number, body?: object) {
  const reply = await callOrigin(c, question, path, "application/json", timeoutMs, body);
  if (!reply.ok) throw new Problem("origin-unavailable");
  return (await reply.json()) as T;
}

export async function find(c: Context<Environment>, question: Question): Promise<Found> {
  const { env } = c;
  const models = `${space(env)} ${env.RERANK_MODEL}`;
  const { scope, outcome: scopeOutcome } = await scopeOf(c, question);
  const embedded = embed(c, question.normalised, scope.purges.everything);
  const remembered = await caches.searchKey(scope.scope_version, models, question.normalised, question.documentIds);
  const recalled = await stage(c, "search", () => caches.readSearch(env.SEARCH_CACHE, remembered));
  if (recalled) {
    c.executionCtx.waitUntil(embedded);
    const { purges } = scope;
    return { passages: recalled, purges, scope: scopeOutcome, search: "hit", embedding: "skipped", degraded: [] };
  }
  const { embedding, outcome } = await embedded;
  const retrieved = await stage(c, "retrieve", () =>
    askOrigin<{ passages: Passage[]; scope: Scope }>(c, question, "/v1/retrieve", 4_000, {
      query: question.normalised,
      embedding: embedding && base64(embedding),
      embedding_model: space(env),
      filters: question.documentIds.length > 0 ? { document_ids: question.documentIds } : {},
    }),
  );
  const passages = await stage(c, "rerank", () => rerank(env, question.normalised, retrieved.passages));
  const key = await caches.searchKey(retrieved.scope.scope_version, models, question.normalised, question.documentIds);
  const write = env.SEARCH_CACHE.put(key, JSON.stringify({ passages }), { expirationTtl: caches.SEARCH_TTL_S });
  c.executionCtx.waitUntil(write);
  const { purges } = retrieved.scope;
  return { passages, purges, scope: scopeOutcome, search: "miss", embedding: outcome, degraded: [] };
}

async function scopeOf(c: Context<Environment>, question: Question) {
  const key = caches.scopeKey(question.userId);
  const reading = await stage(c, "scope", () => caches.readScope(c.env.SCOPE_CACHE, key));
  if (reading) return { scope: reading.scope, outcome: "hit" };
  const read_at_s = Math.floor(Date.now() / 1000);
  const scope = await stage(c, "origin_scope", () =>
    askOrigin<Scope>(c, question, "/v1/scope", 2_000),
  );
  const value = JSON.stringify({ scope, read_at_s });
  c.executionCtx.waitUntil(c.env.SCOPE_CACHE.put(key, value, { expirationTtl: caches.SCOPE_TTL_S }));
  return { scope, outcome: "miss" };
}

const space = (env: Bindings) => `${env.EMBEDDING_MODEL}#${env.EMBEDDING_POOLING}`;

async function embed(c: Context<Environment>, query: string, generation: number) {
  const { env } = c;
  const key = await caches.embedKey(space(env), query, generation);
  const kept = await stage(c, "embed", () => caches.readEmbedding(env.EMBED_CACHE, key));
  if (kept) return { embedding: kept, outcome: "hit" };
  const output = await stage(c, "embed_model", () =>
    env.AI.run(env.EMBEDDING_MODEL, { text: [query], pooling: env.EMBEDDING_POOLING }),
  );
  const embedding = new Float32Array(output.data[0]);
  const write = env.EMBED_CACHE.put(key, embedding.buffer, { expirationTtl: caches.EMBED_TTL_S });
  c.executionCtx.waitUntil(write);
  return { embedding, outcome: "miss" };
}

async function rerank(env: Bindings, query: string, candidates: Passage[]): Promise<FoundPassage[]> {
  const contexts = candidates.map((passage) => ({ text: passage.content }));
  const output: { response: { id: number; score: number }[] } = await env.AI.run(env.RERANK_MODEL, {
    query,
    contexts,
    top_k: ANSWER_PASSAGES,
  });
  return output.response
    .map(({ id, score }) => ({ id, score: 1 / (1 + Math.exp(-score)) }))
    .sort((a, b) => b.score - a.score || a.id - b.id)
    .slice(0, ANSWER_PASSAGES)
    .map(({ id, score }) => found(candidates[id], score));
}

function found(passage: Passage, score: number): FoundPassage {
  const { chunk_id, document_id, document_title, page_start, page_end } = passage;
  const section = passage.section ?? undefined;
  const { content_sha256, generation } = passage;
  const source = { chunk_id, document_id, document_title, page_start, page_end, section, score };
  return { source, content_sha256, generation };
}

const base64 = (embedding: Float32Array) => btoa(String.fromCharCode(...new Uint8Array(embedding.buffer)));
