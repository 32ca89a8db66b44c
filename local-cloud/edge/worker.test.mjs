// The built Worker in workerd, over its real bindings: what the native tests can't see.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, beforeEach, test } from "node:test";
import { start } from "./testing/edge.mjs";
import { ADMIN, FIRST_STUDENT, OTHER_STUDENT, DELTA, DONE, ID, Services } from "./testing/services.mjs";

let services, edge;
let question = 0;

before(async () => {
  services = await new Services().start();
  edge = await start(...services.options());
});
after(async () => {
  await edge?.stop();
  services?.stop();
});
beforeEach(() => {
  services.calls = [];
  services.answer = (response) => response.end(DELTA + DONE);
});

const fresh = () => `Question ${++question}?`;

function ask(query, { person = FIRST_STUDENT, accept = "text/event-stream", token, signal, lastEventId } = {}) {
  return fetch(`${edge.url}/api/chat/query`, {
    method: "POST",
    headers: {
      accept,
      "content-type": "application/json",
      authorization: `Bearer ${token ?? services.token(person)}`,
      ...(lastEventId && { "last-event-id": lastEventId }),
    },
    body: JSON.stringify({ query }),
    signal,
  });
}

/** Waits for what happens after a response. */
async function until(condition) {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}

const metaOf = (text) => JSON.parse(/^event: meta\ndata: (.*)\n/.exec(text)[1]);

test("a question is answered, and the second time out of KV alone", async () => {
  const query = fresh();
  const cold = await ask(query);
  assert.equal(cold.status, 200);
  assert.equal(cold.headers.get("content-type"), "text/event-stream");
  const text = await cold.text();
  assert.deepEqual(metaOf(text).cache, { scope: "miss", search: "miss", embedding: "miss", answer: "miss" });
  assert.ok(text.endsWith(DELTA + DONE), text);
  assert.deepEqual([...services.calls].sort(), ["/v1/answer", "/v1/retrieve", "/v1/scope", "@local/all-mpnet-base-v2", "@local/reranker"]);

  await until(async () => metaOf(await (await ask(query)).text()).cache.answer === "hit");
  services.calls = [];
  const warm = await ask(query);
  const warmText = await warm.text();
  assert.deepEqual(metaOf(warmText).cache, { scope: "hit", search: "hit", embedding: "skipped", answer: "hit" });
  assert.ok(warmText.endsWith(DELTA + DONE), warmText);
  assert.deepEqual(services.calls, []);
  assert.match(warm.headers.get("server-timing"), /scope;dur=[\d.]+;desc="hit"/);

  const json = await (await ask(query, { accept: "application/json" })).json();
  assert.equal(json.answer, "Keep the wrist level — always.");
  assert.deepEqual(json.sources, metaOf(warmText).sources);
});

test("the runtime's own tables make one question of its spellings", async () => {
  // Full-width letters, a ligature, a superscript, an ideographic space, a composed and a taken-apart accent.
  const number = ++question;
  const spellings = [`What is Ｌｅｇａｔｏ ﬁngering²,　Étude ${number}?`, `what is legato fingering2, e\u0301tude ${number}?`];
  const [query, other] = spellings;
  await (await ask(query)).text();
  await until(async () => metaOf(await (await ask(query)).text()).cache.answer === "hit");
  services.calls = [];
  const asked = metaOf(await (await ask(other)).text());
  assert.deepEqual([asked.cache.search, asked.cache.answer], ["hit", "hit"]);
  assert.deepEqual(services.calls, []);
});

test("an admin has an answer purged, and it is made anew", async () => {
  const query = fresh();
  await (await ask(query)).text();
  let meta;
  await until(async () => (meta = metaOf(await (await ask(query)).text())).cache.answer === "hit");
  const purge = (claims) =>
    fetch(`${edge.url}/api/admin/cache/purge`, {
      method: "POST",
      headers: { authorization: `Bearer ${services.token(ADMIN, "ES256", claims)}` },
      body: JSON.stringify({ answer: meta.answer_id, reason: "It names a pupil." }),
    });
  assert.equal((await purge({})).status, 403);
  const reply = await purge({ app_metadata: { role: "admin" } });
  assert.equal(reply.status, 200);
  const { request_id, ...purged } = await reply.json();
  assert.equal(request_id, reply.headers.get("x-request-id"));
  assert.deepEqual(purged, { purged: { answer: meta.answer_id }, generation: 1, scopes_dropped: 2 });

  const anew = metaOf(await (await ask(query)).text());
  assert.deepEqual(anew.cache, { scope: "miss", search: "hit", embedding: "skipped", answer: "miss" });
  assert.equal(anew.answer_id, meta.answer_id);
  await until(async () => metaOf(await (await ask(query)).text()).cache.answer === "hit");
});

test("another reader gets nothing out of the caches", async () => {
  const query = fresh();
  await (await ask(query)).text();
  const text = await (await ask(query, { person: OTHER_STUDENT })).text();
  assert.ok(!text.includes(`For ${FIRST_STUDENT}`), text);
  assert.equal(metaOf(text).cache.search, "miss");
});

test("WebCrypto lets in both kinds of signature and no other", async () => {
  for (const algorithm of ["RS256", "ES256"]) {
    const { privateKey } = algorithm === "RS256" ? generateKeyPairSync("rsa", { modulusLength: 2048 }) : generateKeyPairSync("ec", { namedCurve: "P-256" });
    const good = await ask(fresh(), { token: services.token(FIRST_STUDENT, algorithm) });
    assert.equal(good.status, 200, await good.text());
    const forged = await ask(fresh(), { token: services.token(FIRST_STUDENT, algorithm, {}, privateKey) });
    assert.equal((await forged.json()).type, "urn:etude:problem:token-signature-invalid");
    const stale = await ask(fresh(), { token: services.token(FIRST_STUDENT, algorithm, { exp: 1 }) });
    assert.equal((await stale.json()).type, "urn:etude:problem:token-expired");
  }
});

test("words arrive while the model is still writing", async () => {
  let finish;
  services.answer = (response) => {
    response.write(DELTA);
    finish = () => response.end(DONE);
  };
  const reader = (await ask(fresh())).body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes(DELTA)) text += (await reader.read()).value;
  finish();
  for (let piece; (piece = await reader.read()), !piece.done; ) text += piece.value;
  assert.ok(text.endsWith(DELTA + DONE), text);
});

test("a reader who was cut off is told what comes behind it, from the origin and out of KV", async () => {
  const query = fresh();
  for (const outcome of ["miss", "hit"]) {
    let text;
    await until(async () => {
      text = await (await ask(query, { lastEventId: ID })).text();
      return metaOf(text).cache.answer === outcome;
    });
    assert.equal(metaOf(text).resumed, true);
    assert.ok(text.endsWith(`\n\n${DONE}`) && !text.includes(DELTA), text);
  }
  const other = await (await ask(query, { lastEventId: "32-0-1" })).text();
  assert.equal(metaOf(other).resumed, undefined);
  assert.ok(other.endsWith(DELTA + DONE), other);
});

test("an answer that is cut ends in an error and is made anew", async () => {
  for (const cut of [(response) => response.end(DELTA), (response) => response.write(DELTA + "event: del", () => response.destroy())]) {
    services.answer = cut;
    const query = fresh();
    const text = await (await ask(query)).text();
    assert.match(text, /event: error\ndata: \{"type":"urn:etude:problem:answer-interrupted".*\n\n$/);
    services.answer = (response) => response.end(DELTA + DONE);
    assert.equal(metaOf(await (await ask(query)).text()).cache.answer, "miss");
  }
});

test("when the reader leaves, the origin is told", async () => {
  let closed;
  services.answer = (response) => {
    response.write(DELTA);
    closed = once(response, "close");
  };
  const leaving = new AbortController();
  const reply = await ask(fresh(), { signal: leaving.signal });
  await reply.body.getReader().read();
  leaving.abort();
  await closed;
});

test("no reply holds bytes of another, however many are under way", async () => {
  const paths = ["/api/health", "/api/nothing", "/api/auth/me", "/nowhere"];
  const replies = Array.from({ length: 200 }, async (_, i) => {
    const reply = await fetch(edge.url + paths[i % paths.length]);
    const body = await reply.json();
    if (body.instance) assert.equal(body.instance, reply.headers.get("x-request-id"));
  });
  await Promise.all(replies);
});

test("a service that says nothing is given up, and the caller told", async () => {
  const silent = createServer(() => {}).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const url = `http://127.0.0.1:${silent.address().port}`;
  const other = await start(...services.options(), "--var", `ORIGIN_URL=${url}`);
  try {
    const reply = await fetch(`${other.url}/api/chat/query`, {
      method: "POST",
      headers: { authorization: `Bearer ${services.token(FIRST_STUDENT)}` },
      body: JSON.stringify({ query: "scales?" }),
    });
    assert.equal((await reply.json()).type, "urn:etude:problem:origin-unavailable");
    // The embedding came meanwhile, and the scope's share of the time has passed.
    assert.match(reply.headers.get("server-timing"), /origin_scope;dur=([2-9]|\d\d)\d{3}\./);
  } finally {
    await other.stop();
    silent.closeAllConnections();
    silent.close();
  }
});

test("without its origin the edge says so, and goes on", async () => {
  const other = await start(...services.options(), "--var", "ORIGIN_URL=http://127.0.0.1:1");
  try {
    const reply = await fetch(`${other.url}/api/chat/query`, {
      method: "POST",
      headers: { authorization: `Bearer ${services.token(FIRST_STUDENT)}` },
      body: JSON.stringify({ query: "scales?" }),
    });
    assert.equal(reply.status, 503);
    assert.equal((await reply.json()).type, "urn:etude:problem:origin-unavailable");
    assert.equal((await (await fetch(`${other.url}/api/health`)).json()).status, "degraded");
  } finally {
    await other.stop();
  }
});

test("production's allowance ends with a Retry-After", async () => {
  const production = await start(...services.options(), "--env", "production");
  try {
    // Refused for its empty body, but counted first.
    const ask = () => {
      const headers = { authorization: `Bearer ${services.token(FIRST_STUDENT)}` };
      return fetch(`${production.url}/api/chat/query`, { method: "POST", headers });
    };
    // The allowance starts anew with each minute of the clock, and one may end meanwhile: of 121 requests,
    // one minute has 61.
    let allowed = 0;
    let reply = await ask();
    for (; reply.status === 422 && allowed < 121; reply = await ask()) allowed += 1;
    assert.equal(reply.status, 429);
    assert.ok(allowed >= 60, `refused after ${allowed}`);
    assert.equal(reply.headers.get("retry-after"), "60");
  } finally {
    await production.stop();
  }
});
