// Keys and values of the caches: those of `shared_types::cache`, but for the sum behind a value, which costs a Worker in
// TypeScript more than it would be thought worth.

import type { KvNamespace } from "./bindings";

const encoder = new TextEncoder();

/** SHA-256 over parts, each with its length before it, as hex. */
async function digest(parts: (string | Uint8Array)[]): Promise<string> {
  const bytes = parts.map((part) => (typeof part === "string" ? encoder.encode(part) : part));
  const message = new Uint8Array(bytes.reduce((length, part) => length + 8 + part.length, 0));
  const view = new DataView(message.buffer);
  let at = 0;
  for (const part of bytes) {
    view.setUint32(at, part.length, true);
    message.set(part, at + 8);
    at += 8 + part.length;
  }
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", message)));
}

const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += DIGITS[byte];
  return text;
}

function numberBytes(number: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(number), true);
  return bytes;
}

function idBytes(ids: string[]): Uint8Array {
  const bytes = new Uint8Array(ids.length * 16);
  ids.forEach((id, n) => {
    const digits = id.replaceAll("-", "");
    for (let i = 0; i < 16; i++) bytes[n * 16 + i] = parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  });
  return bytes;
}

export interface Passage {
  chunk_id: string;
  document_id: string;
  document_title: string;
  page_start: number;
  page_end: number;
  section: string | null;
  content: string;
  content_sha256: string;
  generation: number;
}

export interface FoundPassage {
  source: {
    chunk_id: string;
    document_id: string;
    document_title: string;
    page_start: number;
    page_end: number;
    section?: string;
    score?: number;
  };
  content_sha256: string;
  generation: number;
}

export interface Purges {
  everything: number;
  reader: number;
  answers?: { id: string; generation: number }[];
}

export interface Scope {
  scope_version: string;
  purges: Purges;
}

export interface ScopeReading {
  scope: Scope;
  read_at_s: number;
}

export interface StoredAnswer {
  pieces: ({ text: string } | { citation: object })[];
  confidence: number;
  finish_reason: string;
  usage: object;
}

export const SCOPE_TTL_S = 60;
export const SEARCH_TTL_S = 60 * 60;
export const EMBED_TTL_S = 24 * 60 * 60;
export const ANSWER_TTL_S = 24 * 60 * 60;
const SCOPE_READ_CACHE_S = 30;
const ANSWER_READ_CACHE_S = 60;
const READ_CACHE_S = 300;
const EMBEDDING_BYTES = 768 * 4;

export const scopeKey = (userId: string) => `scope:v1:${userId}`;
export const embedKey = async (space: string, query: string, generation: number) =>
  `embed:v1:${await digest([space, query, numberBytes(generation)])}`;
export const searchKey = async (scope: string, models: string, query: string, documentIds: string[]) =>
  `search:v1:${await digest([scope, models, query, idBytes([...new Set(documentIds)].sort())])}`;

export async function answerKey(model: string, query: string, passages: FoundPassage[], purges: Purges) {
  const parts = passages.flatMap((passage) => [
    idBytes([passage.source.chunk_id]),
    encoder.encode(passage.content_sha256),
    numberBytes(passage.generation),
  ]);
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  const id = await digest([model, query, numberBytes(purges.reader), joined]);
  const purged = purges.answers?.find((answer) => answer.id === id);
  return { id, key: purged ? `llm:v1:${id}.${purged.generation}` : `llm:v1:${id}` };
}

export async function readScope(kv: KvNamespace, key: string): Promise<ScopeReading | null> {
  const reading = (await kv.get(key, { type: "json", cacheTtl: SCOPE_READ_CACHE_S })) as ScopeReading | null;
  if (!reading) return null;
  const age = Math.floor(Date.now() / 1000) - reading.read_at_s;
  return age >= 0 && age < SCOPE_TTL_S ? reading : null;
}

export async function readSearch(kv: KvNamespace, key: string): Promise<FoundPassage[] | null> {
  const results = (await kv.get(key, { type: "json", cacheTtl: READ_CACHE_S })) as { passages: FoundPassage[] } | null;
  return Array.isArray(results?.passages) ? results.passages : null;
}

export async function readEmbedding(kv: KvNamespace, key: string): Promise<Float32Array | null> {
  const bytes = await kv.get(key, { type: "arrayBuffer", cacheTtl: READ_CACHE_S });
  return bytes?.byteLength === EMBEDDING_BYTES ? new Float32Array(bytes) : null;
}

export async function readAnswer(kv: KvNamespace, key: string): Promise<StoredAnswer | null> {
  const answer = (await kv.get(key, { type: "json", cacheTtl: ANSWER_READ_CACHE_S })) as StoredAnswer | null;
  return Array.isArray(answer?.pieces) ? answer : null;
}
