// What the edge is measured against: the path of a question, as one would write it in TypeScript with Hono and jose.
// The same bindings, cache keys, headers, body and log line as `edge-worker`; the replies differ in nothing but ids.

import { Hono } from "hono";
import { answer } from "./answer";
import type { Environment } from "./bindings";
import { signedIn } from "./caller";
import { find } from "./find";
import { Problem } from "./problem";

const MAX_BODY_BYTES = 16 * 1024;
const MAX_QUERY_CHARS = 2_000;

const PROTECTION = Object.entries({
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "strict-transport-security": "max-age=63072000; includeSubDomains",
  "x-content-type-options": "nosniff",
  vary: "Origin",
});
const EXPOSED_HEADERS =
  "accept-ranges, content-disposition, content-range, etag, location, retry-after, server-timing, x-csrf-token, x-request-id";

const app = new Hono<Environment>();

app.use(async (c, next) => {
  const started = Date.now();
  const requestId = crypto.randomUUID();
  c.set("requestId", requestId);
  c.set("traceparent", traceparent(c.req.header("traceparent"), requestId));
  c.set("stages", []);
  c.set("notes", {});
  await next();
  const { headers, status } = c.res;
  const stages = c.var.stages.join(", ");
  headers.set("x-request-id", requestId);
  if (stages) headers.set("server-timing", stages);
  for (const [name, value] of PROTECTION) headers.set(name, value);
  const origin = c.req.header("origin");
  if (origin && c.env.ALLOWED_ORIGINS.split(",").includes(origin)) {
    headers.set("access-control-allow-origin", origin);
    headers.set("access-control-allow-credentials", "true");
    headers.set("access-control-expose-headers", EXPOSED_HEADERS);
    headers.set("timing-allow-origin", origin);
  }
  const log = status >= 500 ? console.error : console.log;
  log(
    JSON.stringify({
      message: "request answered",
      request_id: requestId,
      trace_id: c.var.traceparent.slice(3, 35),
      method: c.req.method,
      route: c.req.path,
      status,
      duration_ms: Date.now() - started,
      stages,
      ...c.var.notes,
    }),
  );
});

app.onError((error, c) => {
  if (!(error instanceof Problem)) console.error(error);
  const problem = error instanceof Problem ? error : new Problem("internal");
  return problem.toResponse(c.var.requestId);
});
app.notFound((c) => new Problem("not-found").toResponse(c.var.requestId));

app.post("/api/chat/query", async (c) => {
  const claims = await signedIn(c);
  const body = await readBody(c.req.raw);
  const question = {
    userId: claims.sub!,
    authorization: c.req.header("authorization")!,
    asked: body.query,
    normalised: normalise(body.query),
    documentIds: body.filters?.document_ids ?? [],
  };
  return answer(c, question, await find(c, question));
});

/** The caller's trace one hop further, or one that begins here. */
function traceparent(sent: string | undefined, requestId: string): string {
  const digits = requestId.replaceAll("-", "");
  const [, traceId, flags] = /^00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$/.exec(sent ?? "") ?? [];
  return `00-${traceId ?? digits}-${digits.slice(16)}-${flags ?? "00"}`;
}

async function readBody(request: Request): Promise<{ query: string; filters?: { document_ids?: string[] } }> {
  const text = await request.text();
  if (text.length > MAX_BODY_BYTES) throw new Problem("body-invalid");
  let body;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw new Problem("body-invalid", (error as Error).message);
  }
  if (typeof body?.query !== "string") throw new Problem("body-invalid", "query is not a text");
  return body;
}

function normalise(query: string): string {
  const folded = query.normalize("NFKC").toLowerCase().normalize("NFKC");
  const normalised = folded.replace(/[\s\p{Cc}]+/gu, " ").trim();
  if (normalised === "") throw new Problem("query-invalid", "The question is empty.");
  if (normalised.length > MAX_QUERY_CHARS) throw new Problem("query-invalid", "The question is too long.");
  return normalised;
}

export default app;
