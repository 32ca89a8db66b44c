// What each stage took, for Server-Timing and the log.

import type { Context } from "hono";
import type { Environment } from "./bindings";

export async function stage<T>(c: Context<Environment>, name: string, work: () => Promise<T>): Promise<T> {
  const started = Date.now();
  const result = await work();
  const description = result === null ? ';desc="miss"' : "";
  c.var.stages.push(`${name};dur=${(Date.now() - started).toFixed(1)}${description}`);
  return result;
}
