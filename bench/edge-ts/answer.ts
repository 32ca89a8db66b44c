// From passages to a reply: a kept answer as one body, or a new one as it is written.

import type { Context } from "hono";
import type { Environment } from "./bindings";
import * as caches from "./caches";
import type { StoredAnswer } from "./caches";
import { callOrigin, type Found, type Question } from "./find";
import { Problem } from "./problem";
import { stage } from "./stages";

const EVENT_STREAM = { "content-type": "text/event-stream" };

const event = (name: string, data: unknown) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

export async function answer(c: Context<Environment>, question: Question, found: Found): Promise<Response> {
  const { id, key } = await caches.answerKey(c.env.ANSWER_MODEL, question.normalised, found.passages, found.purges);
  const stored = await stage(c, "answer_cache", () => caches.readAnswer(c.env.ANSWER_CACHE, key));
  const outcome = stored ? "hit" : "miss";
  const cache = { scope: found.scope, search: found.search, embedding: found.embedding, answer: outcome };
  c.set("notes", { passages: found.passages.length, cache, degradations: found.degraded });
  const sources = found.passages.map((passage) => passage.source);
  const meta = { request_id: c.var.requestId, answer_id: id, cache, sources };
  if (stored) {
    if (wantsJson(c)) return c.json({ ...meta, ...whole(stored) });
    return new Response(event("meta", meta) + replay(stored), { headers: EVENT_STREAM });
  }
  const body = {
    query: question.asked,
    passages: sources.map(({ chunk_id, score }) => ({ chunk_id, rerank_score: score ?? null })),
  };
  const upstream = await stage(c, "answer", () =>
    callOrigin(c, question, "/v1/answer", "text/event-stream", 45_000, body),
  );
  if (!upstream.ok || !upstream.body) throw new Problem("origin-unavailable");
  const relayed = upstream.body.pipeThrough(relay(c, key, event("meta", meta)));
  return new Response(relayed, { headers: EVENT_STREAM });
}

function wantsJson(c: Context<Environment>): boolean {
  const accept = c.req.header("accept") ?? "";
  return accept.includes("application/json") && !accept.includes("text/event-stream");
}

function replay({ pieces, confidence, finish_reason, usage }: StoredAnswer): string {
  let text = "";
  for (const piece of pieces) {
    text += "text" in piece ? event("delta", { text: piece.text }) : event("citation", piece.citation);
  }
  return text + event("done", { finish_reason, confidence, usage });
}

function whole({ pieces, confidence, finish_reason, usage }: StoredAnswer) {
  let answer = "";
  const citations = new Map<number, object>();
  for (const piece of pieces) {
    if ("text" in piece) {
      answer += piece.text;
    } else {
      const citation = piece.citation as { marker: number };
      answer += ` [${citation.marker}]`;
      citations.set(citation.marker, citation);
    }
  }
  const inOrder = [...citations].sort(([a], [b]) => a - b).map(([, citation]) => citation);
  return { answer, citations: inOrder, confidence, finish_reason, usage };
}

/** Passes the origin's bytes on behind `opening`, and keeps the answer once its `done` event has passed. */
function relay(c: Context<Environment>, key: string, opening: string): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder();
  let buffered = "";
  const pieces: StoredAnswer["pieces"] = [];
  const { ANSWER_CACHE } = c.env;
  const context = c.executionCtx;

  const take = (name: string, data: string) => {
    const value = JSON.parse(data);
    if (name === "delta") {
      const last = pieces.at(-1);
      if (last && "text" in last) last.text += value.text;
      else pieces.push({ text: value.text });
    } else if (name === "citation") {
      pieces.push({ citation: value });
    } else if (name === "done") {
      const { confidence, finish_reason, usage } = value;
      const stored = JSON.stringify({ pieces, confidence, finish_reason, usage });
      context.waitUntil(ANSWER_CACHE.put(key, stored, { expirationTtl: caches.ANSWER_TTL_S }));
    }
  };

  return new TransformStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(opening));
    },
    transform(chunk, controller) {
      controller.enqueue(chunk);
      buffered += decoder.decode(chunk, { stream: true });
      for (let end; (end = buffered.indexOf("\n\n")) >= 0; buffered = buffered.slice(end + 2)) {
        const match = /^(?:id: .*\n)?event: (\w+)\ndata: (.*)$/.exec(buffered.slice(0, end));
        if (match) take(match[1], match[2]);
      }
    },
  });
}
