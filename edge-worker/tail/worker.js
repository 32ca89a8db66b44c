// The edge's tail Worker: passes the completion line of each of its requests on to the origin, which makes metrics and
// spans of them. It runs when a reply is over, so nobody waits for it; what it can't pass on is lost and said so.

const COMPLETION = '"message":"request answered"';
/// Together in one call of the origin.
const AT_ONCE = 200;
/// More that wait than this are lost.
const MOST = 2_000;
/// How long a line may wait for others.
const TOGETHER_MS = 1_000;
const TIMEOUT_MS = 5_000;
const ATTEMPTS = 2;
/// The runtime ends background work after 30 s.
const ALL_MS = 25_000;

let waiting = [];
/// When a flush began that has not come to its end; the runtime may have cut it off.
let flushingSince = -Infinity;

export default {
  async tail(events, env, ctx) {
    const room = Math.max(MOST - waiting.length, 0);
    waiting.push(...events.slice(0, room).map(invocation));
    if (events.length > room) lost(events.length - room, "too many waited");
    const now = Date.now();
    if (now - flushingSince < ALL_MS + TOGETHER_MS || waiting.length === 0) return;
    flushingSince = now;
    ctx.waitUntil(flush(env));
  },
};

/** What is passed on of one invocation: how it ended, and its completion line where there is one. */
function invocation({ outcome, logs }) {
  const log = logs.findLast(({ message }) => typeof message?.[0] === "string" && message[0].includes(COMPLETION));
  if (log === undefined) return { outcome };
  return { outcome, at_ms: Math.round(log.timestamp), line: parsed(log.message[0]) };
}

/** A line that the runtime has cut off is counted as one that can't be read. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return false;
  }
}

async function flush(env) {
  await new Promise((done) => setTimeout(done, TOGETHER_MS));
  const deadline = Date.now() + ALL_MS;
  const invocations = waiting;
  waiting = [];
  flushingSince = -Infinity;
  while (invocations.length > 0) {
    if (Date.now() > deadline) return lost(invocations.length, "out of time");
    const some = invocations.splice(0, AT_ONCE);
    const failure = await send(env, JSON.stringify({ invocations: some }));
    if (failure) lost(some.length, failure);
  }
}

/** Sends the body; what went wrong, where something did. What the origin will not take is not sent again. */
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
      if (reply.ok) return undefined;
      failure = `status ${reply.status}`;
      if (reply.status < 500) return failure;
    } catch (error) {
      failure = error.name;
      // The origin may have taken them.
      if (failure === "TimeoutError") return failure;
    }
  }
  return failure;
}

function lost(lines, error) {
  console.error(JSON.stringify({ message: "completion lines were lost", lines, error }));
}
