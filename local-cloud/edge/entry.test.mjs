// The Worker's entry in workerd, over a module that panics when it is told to.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { Miniflare } from "miniflare";

// As worker-build's own entry: its class makes the module anew where a panic has ended it.
const MODULE = `
const state = (globalThis.__worker_init_state = { criticalError: false });
let instance = 1;
export default class {
  constructor() {
    if (state.criticalError) instance++;
    state.criticalError = false;
  }
  async fetch(request) {
    if (state.criticalError) throw new Error("a module that has ended was asked");
    const { pathname } = new URL(request.url);
    if (pathname === "/panic") throw new WebAssembly.RuntimeError("unreachable");
    if (pathname === "/fail") throw new Error("an error that ends nothing");
    return new Response(\`instance \${instance}\`);
  }
}`;

let edge;

before(async () => {
  edge = new Miniflare({
    compatibilityDate: "2026-03-01",
    modules: [
      {
        type: "ESModule",
        path: "entry.js",
        contents: await readFile(new URL("../../edge-worker/entry.js", import.meta.url), "utf8"),
      },
      { type: "ESModule", path: "build/index.js", contents: MODULE },
    ],
  });
  await edge.ready;
});
after(() => edge?.dispose());

async function ask(path) {
  const response = await edge.dispatchFetch(`http://edge.example${path}`);
  return { status: response.status, text: await response.text() };
}

test("after a panic the module is made anew, once", async () => {
  assert.equal((await ask("/")).text, "instance 1");
  assert.equal((await ask("/panic")).status, 500);
  assert.equal((await ask("/")).text, "instance 2");
  assert.equal((await ask("/")).text, "instance 2");
});

test("an error that is no panic leaves the module alone", async () => {
  const { text } = await ask("/");
  assert.equal((await ask("/fail")).status, 500);
  assert.equal((await ask("/")).text, text);
});
