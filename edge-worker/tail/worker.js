// The edge's tail Worker: passes the completion line of each of its requests on to the origin, which makes metrics and
// spans of them. It runs when a reply is over, so nobody waits for it; what it can't pass on is lost and said so.

const COMPLETION = '"message":"request answered"';
/// Together in one call of the origin.
const AT_ONCE = 100;
/// More that wait than this are lost.
const MOST = 2_000;
/// How long a line may wait for others.
const TOGETHER_MS = 1_000;
const TIMEOUT_MS = 5_000;
const ATTEMPTS = 2;

let waiting = [];
let isFlushing = false;

export default {
  async tail(events, env, ctx) {
    const room = MOST - waiting.length;
    waiting.push(...events.map(invocation).slice(0, room));
    if (isFlushing || waiting.length === 0) return;
    isFlushing = true;
    ctx.waitUntil(flush(env));
  },
};

/** What is passed on of one invocation: how it ended, and its completion line where there is one. */
function invocation({ outcome, logs }) {
  const log = logs.findLast(({ message }) => typeof message?.[0] === "string" && message[0].includes(COMPLETION));
  if (log === undefined) return { outcome };
  return { outcome, at_ms: Math.round(log.timestamp), line: parsed(log.message[0]) };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function flush(env) {
  await new Promise((done) => setTimeout(done, TOGETHER_MS));
  isFlushing = false;
  const invocations = waiting;
  waiting = [];
  for (let at = 0; at < invocations.length; at += AT_ONCE) {
    await send(env, JSON.stringify({ invocations: invocations.slice(at, at + AT_ONCE) }));
  }
}

async function send(env, body) {
  let failure;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      const reply = await fetch(`${env.ORIGIN_URL}/v1/edge-lines`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-etude-edge-token": env.EDGE_TOKEN },
        body,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await reply.body?.cancel();
      if (reply.ok) return;
      failure = `status ${reply.status}`;
    } catch (error) {
      failure = error.name;
    }
  }
  console.error(JSON.stringify({ message: "completion lines were lost", error: failure }));
}
