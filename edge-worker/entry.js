// What the runtime loads: the built Worker, called in the cheapest way.
//
// worker-build's own entry makes a class instance behind two proxies for every request, which costs as much as a
// read of KV. Here a request goes straight to the module. Only after a panic it goes through that entry, which
// makes the module anew.

import Entrypoint from "./build/index.js";

const { fetch } = Entrypoint.prototype;
const state = globalThis.__worker_init_state;

export default {
  async fetch(request, env, ctx) {
    if (state.criticalError) return new Entrypoint(ctx, env).fetch(request);
    try {
      return await fetch.call({ env, ctx }, request);
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError) state.criticalError = true;
      throw error;
    }
  },
};
