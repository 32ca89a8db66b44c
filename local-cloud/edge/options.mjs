// From wrangler.toml and the command line to Miniflare's options: what runs here is what is deployed.

import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = resolve(HERE, "../..");
const SECRETS = ["EDGE_TOKEN", "SUPABASE_ANON_KEY", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"];
const HOST = "127.0.0.1";

export const USAGE = `node local-cloud/edge/run.mjs [options]

  --port N              of the edge (8787; 0 for any free one)
  --s3-port N           of the S3 face of the R2 buckets (8790; 0 for any free one)
  --persist DIR         where KV and R2 keep their data; in memory without it
  --ai-url URL          what answers for Workers AI (http://127.0.0.1:8789/workers-ai-binding)
  --env NAME            environment of wrangler.toml; its top level without it
  --var NAME=VALUE      overrides a variable of wrangler.toml; may be repeated
  --config FILE         wrangler.toml of the repository
  --exit-with-parent    stop when standard input ends

Secrets come from the environment: ${SECRETS.join(", ")}.`;

/** Reads the command line. Throws with a sentence for people. */
export function readArguments(argv) {
  const { values } = parseArgs({
    args: argv,
    options: {
      port: { type: "string", default: "8787" },
      "s3-port": { type: "string", default: "8790" },
      persist: { type: "string" },
      "ai-url": { type: "string", default: "http://127.0.0.1:8789/workers-ai-binding" },
      env: { type: "string" },
      var: { type: "string", multiple: true, default: [] },
      config: { type: "string", default: join(ROOT, "wrangler.toml") },
      "exit-with-parent": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const port = (name) => {
    if (!/^\d{1,5}$/.test(values[name]) || +values[name] > 65535) throw new Error(`--${name} is not a port`);
    return +values[name];
  };
  const vars = values.var.map((pair) => {
    if (!/^[A-Z0-9_]+=/.test(pair)) throw new Error(`--var ${pair} is not NAME=VALUE`);
    return pair.split(/=(.*)/s).slice(0, 2);
  });
  return {
    ...values,
    port: port("port"),
    s3Port: port("s3-port"),
    aiUrl: new URL(values["ai-url"]),
    exitWithParent: values["exit-with-parent"],
    vars: Object.fromEntries(vars),
  };
}

/** The secrets out of the environment. Throws with the names of those that are not set. */
export function readSecrets(environment) {
  const missing = SECRETS.filter((name) => !environment[name]);
  if (missing.length > 0) throw new Error(`not set: ${missing.join(", ")}`);
  return Object.fromEntries(SECRETS.map((name) => [name, environment[name]]));
}

/**
 * Miniflare's options for the edge and the S3 face.
 *
 * @param {object} args of {@link readArguments}
 * @param {object} secrets of {@link readSecrets}
 * @param {object} deployed `unstable_getMiniflareWorkerOptions` of wrangler
 */
export function miniflareOptions(args, secrets, deployed) {
  const { modulesRules, bindings, ...worker } = deployed.workerOptions;
  const vars = { ...bindings, ...args.vars };
  const { S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY, ...edgeSecrets } = secrets;
  const buckets = Object.entries(worker.r2Buckets ?? {});
  const persist = args.persist && resolve(args.persist);
  return {
    host: HOST,
    port: args.port,
    // Request properties are a download otherwise.
    cf: false,
    kvPersist: persist ? join(persist, "kv") : false,
    r2Persist: persist ? join(persist, "r2") : false,
    // Standard output is for the ready line alone.
    handleRuntimeStdio(stdout, stderr) {
      stdout.pipe(process.stderr, { end: false });
      stderr.pipe(process.stderr, { end: false });
    },
    workers: [
      {
        ...worker,
        name: "edge",
        tails: ["edge-tail"],
        modules: true,
        // Unlike Node, wrangler takes every `.js` for an ES module.
        modulesRules: [{ type: "ESModule", include: ["**/*.js"] }, ...modulesRules],
        scriptPath: deployed.main,
        bindings: { ...vars, ...edgeSecrets },
        ai: worker.ai && { ...worker.ai, remoteProxyConnectionString: args.aiUrl },
      },
      {
        name: "edge-tail",
        modules: true,
        scriptPath: join(ROOT, "edge-worker/tail/worker.js"),
        compatibilityDate: worker.compatibilityDate,
        bindings: { ORIGIN_URL: vars.ORIGIN_URL, EDGE_TOKEN: edgeSecrets.EDGE_TOKEN },
      },
      {
        name: "s3-face",
        modules: true,
        scriptPath: join(HERE, "s3-face.mjs"),
        compatibilityDate: worker.compatibilityDate,
        r2Buckets: worker.r2Buckets,
        bindings: {
          BUCKETS: Object.fromEntries(buckets.map(([binding, { id }]) => [id, binding])),
          ALLOWED_ORIGINS: vars.ALLOWED_ORIGINS ?? "",
          S3_ACCESS_KEY_ID,
          S3_SECRET_ACCESS_KEY,
        },
        unsafeDirectSockets: [{ host: HOST, port: args.s3Port }],
      },
    ],
  };
}
