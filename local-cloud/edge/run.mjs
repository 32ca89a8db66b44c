#!/usr/bin/env node
// Runs the built edge Worker in workerd, with the bindings of wrangler.toml and the S3 face of its
// buckets beside it. Prints one line of JSON when both listen.

process.env.WRANGLER_SEND_METRICS = "false";
// Wrangler would warn that Workers AI costs money; here it is answered locally.
process.env.WRANGLER_LOG ??= "error";

import { existsSync } from "node:fs";
import { miniflareOptions, readArguments, readSecrets, USAGE } from "./options.mjs";

async function main() {
  const args = readArguments(process.argv.slice(2));
  if (args.help) return console.log(USAGE);
  const secrets = readSecrets(process.env);
  const { unstable_getMiniflareWorkerOptions } = await import("wrangler");
  const deployed = unstable_getMiniflareWorkerOptions(args.config, args.env);
  if (!existsSync(deployed.main)) throw new Error(`${deployed.main} does not exist: build the Worker first`);

  const { Miniflare, Log, LogLevel } = await import("miniflare");
  const options = miniflareOptions(args, secrets, deployed);
  const miniflare = new Miniflare({ ...options, log: new Log(LogLevel.ERROR) });
  let stopping;
  const stop = () => (stopping ??= miniflare.dispose().finally(() => process.exit(0)));
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  if (args.exitWithParent) process.stdin.on("end", stop).on("error", stop).resume();

  const edge = await miniflare.ready;
  const s3 = await miniflare.unsafeGetDirectURL("s3-face");
  console.log(JSON.stringify({ ready: true, port: +edge.port, s3_port: +s3.port }));
}

main().catch((error) => {
  console.error(`edge: ${error.message}`);
  process.exit(1);
});
