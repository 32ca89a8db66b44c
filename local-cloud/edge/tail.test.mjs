// The tail Worker in workerd, behind the built edge: what the origin is told of each request.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { start } from "./testing/edge.mjs";
import { FIRST_STUDENT, Services } from "./testing/services.mjs";

let services, edge;

before(async () => {
  services = await new Services().start();
  edge = await start(...services.options());
});
after(async () => {
  await edge?.stop();
  services?.stop();
});

async function told(about) {
  for (;;) {
    const found = services.told.find(({ line }) => about(line ?? {}));
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function ask(query, headers) {
  return fetch(`${edge.url}/api/chat/query`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${services.token(FIRST_STUDENT)}`, ...headers },
    body: JSON.stringify({ query }),
  });
}

test("the origin is told of a question when its answer is over, without a word of it", async () => {
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  await (await ask("How do I hold a moonflower?", { traceparent })).text();
  const { outcome, at_ms, line } = await told(({ route }) => route === "/api/chat/query");
  assert.equal(outcome, "ok");
  assert.ok(Math.abs(Date.now() - at_ms) < 600_000, `${at_ms} is no time in milliseconds`);
  assert.equal(line.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  assert.equal(line.parent, traceparent);
  assert.equal(line.status, 200);
  assert.deepEqual(line.cache, { scope: "miss", search: "miss", embedding: "miss", answer: "miss" });
  assert.match(line.stages, /\bretrieve;dur=[\d.]+;at=[\d.]+/);
  assert.doesNotMatch(JSON.stringify(services.told), /moonflower/);
});

test("an origin that has no time at first is told all the same", async () => {
  services.refusesLines = 1;
  await (await fetch(`${edge.url}/api/nothing`)).text();
  const { line } = await told(({ status }) => status === 404);
  assert.equal(line.route, "none");
});
