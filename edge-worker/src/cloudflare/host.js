// What a request asks of the runtime most often, each as one call out of WebAssembly. Headers come and go as lines: none
// can hold a line feed.

/** Tells the outcome of a promise to `tell`, under the number that the module knows it by. */
export function watch(promise, tell, id) {
  promise.then(
    (value) => report(tell, id, true, value),
    (error) => report(tell, id, false, error),
  );
}

// A panic ends the module. The runtime hears of it as of any error that nobody caught.
function report(tell, ...what) {
  try {
    tell(...what);
  } catch (error) {
    reportError(error);
  }
}

/** Calls `wake` with `id` after so many milliseconds. */
export function wakeAfter(ms, wake, id) {
  setTimeout(() => report(wake, id), ms);
}

/** Method, URL and the named headers of a request, a line each. An equals sign stands before a header that is there. */
export function requestHead(request, names) {
  return `${request.method}\n${request.url}${named(request.headers, names)}`;
}

/** Status and the named headers of a response, in the same way: the first `usual` of them where it says 200. */
export function responseHead(response, names, usual) {
  const { status, headers } = response;
  return `${status}${named(headers, status === 200 ? names.slice(0, usual) : names)}`;
}

function named(headers, names) {
  let lines = "";
  for (const name of names) {
    const value = headers.get(name);
    lines += value === null ? "\n" : `\n=${value}`;
  }
  return lines;
}

/** A response, with the headers of `lines`, names and values by turns, on top of `base`. */
export function respond(body, status, base, lines) {
  const headers = new Headers(base);
  const parts = lines.split("\n");
  // Appended, since there may be more than one cookie.
  for (let n = 1; n < parts.length; n += 2) headers.append(parts[n - 1], parts[n]);
  return new Response(body, { status, headers });
}

/** A response of bytes. They are copied: they stand in memory that the next request writes to. */
export function respondBytes(bytes, status, base, lines) {
  return respond(bytes.slice(), status, base, lines);
}

/** Calls a service: method and URL, then headers, names and values by turns, a line each. Neither of our services
 * redirects; credentials must not travel to where one would point. */
export function call(head, body, signal) {
  const [method, url, ...parts] = head.split("\n");
  const headers = {};
  for (let n = 1; n < parts.length; n += 2) headers[parts[n - 1]] = parts[n];
  return fetch(url, { method, headers, body: body?.slice(), signal, redirect: "manual" });
}

/** A body that is written by us: its stream, its controller, and a promise that is kept when nobody reads on. */
export function openBody(signal) {
  const body = {};
  body.left = new Promise((leave) => {
    body.stream = new ReadableStream({
      start(controller) {
        body.controller = controller;
      },
      cancel: leave,
    });
    // A stream of ours is not cancelled while its invocation lives; the request's signal is aborted at once (flag
    // `enable_request_signal`).
    signal.onabort = leave;
  });
  return body;
}

/** Writes bytes; whether anybody still takes them. */
export function write(controller, bytes) {
  try {
    controller.enqueue(bytes.slice());
    return true;
  } catch {
    return false;
  }
}

/** Counts a request under a key. */
export function count(limiter, key) {
  return limiter.limit({ key });
}

/** Writes a value, which is copied: it stands in memory that other requests write to meanwhile. */
export function put(namespace, key, value, expirationTtl) {
  return namespace.put(key, value.slice(), { expirationTtl });
}

/** Whether data was signed with a key. Both are copied: the work goes on while other requests use their memory. */
export function verify(subtle, algorithm, key, signature, data) {
  return subtle.verify(algorithm, key, signature.slice(), data.slice());
}

/** Has a model judge texts. Model, query and texts are joined by U+0000. */
export function judge(ai, joined, top_k) {
  const [model, query, ...texts] = joined.split("\0");
  return ai.run(model, { query, contexts: texts.map((text) => ({ text })), top_k });
}
