// Starts the edge as `cargo xtask up` does, for tests.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const RUN = fileURLToPath(new URL("../run.mjs", import.meta.url));

export const SECRETS = {
  EDGE_TOKEN: "edge-token",
  SUPABASE_ANON_KEY: "anon-key",
  S3_ACCESS_KEY_ID: "key-id",
  S3_SECRET_ACCESS_KEY: "key-secret",
};

/** Runs until `stop()`. It also stops with this process, since its standard input ends then. */
export async function start(...options) {
  const ports = ["--port", "0", "--s3-port", "0", "--exit-with-parent"];
  const child = spawn(process.execPath, [RUN, ...ports, ...options], {
    env: { ...process.env, ...SECRETS },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const log = [];
  createInterface({ input: child.stderr }).on("line", (line) => log.push(line));
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`the edge ended with ${code}:\n${log.join("\n")}`);
  });
  ended.catch(() => {});
  const [line] = await Promise.race([once(lines, "line"), ended]);
  const { port, s3_port } = JSON.parse(line);
  return {
    url: `http://127.0.0.1:${port}`,
    s3: `http://127.0.0.1:${s3_port}`,
    log,
    async stop() {
      child.kill("SIGTERM");
      if (child.exitCode === null) await once(child, "exit");
    },
  };
}
