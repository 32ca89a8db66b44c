// A document's file through the built Worker in workerd: what R2's own stream and the runtime make of
// ranges, conditions and lengths.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { request } from "node:http";
import { after, before, beforeEach, test } from "node:test";
import { AwsClient } from "aws4fetch";
import { SECRETS, start } from "./testing/edge.mjs";
import { FIRST_STUDENT, OTHER_STUDENT, Services } from "./testing/services.mjs";

const DOCUMENT = "7d4e0000-0000-4000-8000-000000000001";
const PATH = `/api/documents/${DOCUMENT}/file`;
const KEY = `teachers/${FIRST_STUDENT}/${DOCUMENT}/original.pdf`;
const ANNOUNCED = "Fri, 15 Jan 2027 08:00:00 GMT";
const APP = "http://localhost:5173";
// Larger than what workerd and the sockets hold between them.
const BYTES = Buffer.concat([Buffer.from("%PDF-1.7\n"), randomBytes(24 * 1024 * 1024)]);
const SHA256 = createHash("sha256").update(BYTES).digest("hex");
const ETAG = `"${SHA256}"`;

let services, edge;

before(async () => {
  services = await new Services().start();
  edge = await start(...services.options());
  const s3 = new AwsClient({
    accessKeyId: SECRETS.S3_ACCESS_KEY_ID,
    secretAccessKey: SECRETS.S3_SECRET_ACCESS_KEY,
    service: "s3",
    region: "auto",
  });
  const put = await s3.fetch(`${edge.s3}/piano-knowledge/${KEY}`, { method: "PUT", body: BYTES });
  assert.equal(put.status, 200, await put.text());
});
after(async () => {
  await edge?.stop();
  services?.stop();
});
beforeEach(() => {
  services.calls = [];
  services.files = {
    [DOCUMENT]: {
      readers: [FIRST_STUDENT],
      file: {
        key: KEY,
        file_name: "Tonleitern für Anfänger.pdf",
        media_type: "application/pdf",
        size_bytes: BYTES.length,
        sha256: SHA256,
        announced_at_s: Date.parse(ANNOUNCED) / 1000,
      },
    },
  };
});

/** Over `node:http`, which adds, decodes and forgets nothing. */
async function open({ method = "GET", path = PATH, person = FIRST_STUDENT, headers = {}, limit = Infinity } = {}) {
  const authorization = person && { authorization: `Bearer ${services.token(person)}` };
  const sent = request(edge.url + path, { method, headers: { ...authorization, ...headers }, agent: false });
  sent.end();
  const [reply] = await once(sent, "response");
  const pieces = [];
  let received = 0;
  for await (const piece of reply) {
    pieces.push(piece);
    received += piece.length;
    if (received > limit) break;
  }
  const body = Buffer.concat(pieces);
  return { status: reply.statusCode, headers: reply.headers, body, problem: () => JSON.parse(body).type.split(":").pop() };
}

test("the file comes byte for byte, and says what it is", async () => {
  const { status, headers, body } = await open({ headers: { origin: APP } });
  assert.equal(status, 200);
  assert.ok(body.equals(BYTES));
  const expected = {
    "accept-ranges": "bytes",
    "access-control-allow-origin": APP,
    "cache-control": "private, no-cache",
    "content-disposition": `inline; filename="Tonleitern f_r Anf_nger.pdf"; filename*=UTF-8''Tonleitern%20f%C3%BCr%20Anf%C3%A4nger.pdf`,
    "content-length": String(BYTES.length),
    "content-type": "application/pdf",
    "cross-origin-resource-policy": "same-site",
    "etag": ETAG,
    "last-modified": ANNOUNCED,
    "vary": "Origin",
    "x-content-type-options": "nosniff",
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(headers[name], value, name);
  assert.match(headers["content-security-policy"], /^default-src 'none'; object-src 'self'; .*frame-ancestors 'self' http/);
  assert.match(headers["access-control-expose-headers"], /\bcontent-range\b/);
  assert.match(headers["server-timing"], /storage;dur=/);
  assert.ok(!("transfer-encoding" in headers));

  const saved = await open({ path: `${PATH}?download=1`, headers: { range: "bytes=0-0" } });
  assert.match(saved.headers["content-disposition"], /^attachment; /);
});

test("parts are parts, and what is no part is the whole or refused", async () => {
  const size = BYTES.length;
  const parts = {
    "bytes=0-8": [0, 8],
    "bytes=100-4195": [100, 4195],
    [`bytes=${size - 3}-`]: [size - 3, size - 1],
    "bytes=-5": [size - 5, size - 1],
    [`bytes=${size - 2}-${size + 9}`]: [size - 2, size - 1],
    [`bytes=-${size + 1}`]: [0, size - 1],
  };
  for (const [range, [first, last]] of Object.entries(parts)) {
    const { status, headers, body } = await open({ headers: { range } });
    assert.equal(status, 206, range);
    assert.equal(headers["content-range"], `bytes ${first}-${last}/${size}`);
    assert.equal(headers["content-length"], String(last - first + 1));
    assert.ok(body.equals(BYTES.subarray(first, last + 1)), range);
  }
  for (const range of ["bytes=0-1,4-5", "bytes=5-1", "pages=1-2", "bytes=a-b", "nonsense"]) {
    const { status, headers } = await open({ headers: { range }, limit: 0 });
    assert.deepEqual([status, headers["content-length"], headers["content-range"]], [200, String(size), undefined], range);
  }
  for (const range of [`bytes=${size}-`, "bytes=-0"]) {
    const refused = await open({ headers: { range } });
    assert.deepEqual([refused.status, refused.headers["content-range"]], [416, `bytes */${size}`], range);
    assert.equal(refused.problem(), "range-not-satisfiable");
  }
});

test("conditions hold or do not, whatever nonsense they come with", async () => {
  const wanted = { range: "bytes=0-8" };
  const cases = [
    [{ "if-none-match": ETAG }, 304],
    [{ "if-none-match": `"a", W/${ETAG}` }, 304],
    [{ "if-none-match": "no tag at all" }, 206],
    [{ "if-modified-since": ANNOUNCED }, 304],
    [{ "if-modified-since": "Fri, 15 Jan 2027 07:59:59 GMT" }, 206],
    [{ "if-modified-since": "the other day" }, 206],
    [{ "if-match": ETAG }, 206],
    [{ "if-match": '"a"' }, 412],
    [{ "if-unmodified-since": ANNOUNCED }, 206],
    [{ "if-unmodified-since": "Fri, 15 Jan 2027 07:59:59 GMT" }, 412],
    [{ "if-range": ETAG }, 206],
    [{ "if-range": '"a"' }, 200],
  ];
  for (const [conditions, expected] of cases) {
    const { status, headers, body } = await open({ headers: { ...wanted, ...conditions }, limit: 0 });
    assert.equal(status, expected, JSON.stringify(conditions));
    if (status === 304) {
      assert.deepEqual([headers.etag, headers["cache-control"], body.length], [ETAG, "private, no-cache", 0]);
    }
  }
});

test("a HEAD is told what a GET would be, without a byte of it", async () => {
  const head = await open({ method: "HEAD", headers: { range: "bytes=0-8" } });
  const get = await open({ limit: 0 });
  assert.deepEqual([head.status, head.body.length], [200, 0]);
  for (const name of ["content-length", "content-type", "content-disposition", "etag", "last-modified", "accept-ranges"]) {
    assert.equal(head.headers[name], get.headers[name], name);
  }
  assert.equal((await open({ method: "HEAD", headers: { "if-none-match": ETAG } })).status, 304);
  for (const [person, status] of [[OTHER_STUDENT, 404], [null, 401]]) {
    const refused = await open({ method: "HEAD", person });
    assert.deepEqual([refused.status, refused.body.length], [status, 0]);
  }
  assert.equal((await open({ method: "POST" })).headers.allow, "GET, HEAD");
});

test("who may not read it, and who may no more, learns nothing of it", async () => {
  const refused = await open({ person: OTHER_STUDENT, headers: { "if-none-match": ETAG } });
  assert.deepEqual([refused.status, refused.problem()], [404, "not-found"]);
  assert.equal((await open({ limit: 0 })).status, 200);
  services.files[DOCUMENT].readers = [];
  for (const headers of [{}, { range: "bytes=0-8" }, { "if-none-match": ETAG }]) {
    assert.equal((await open({ headers })).status, 404);
  }
});

test("a file that the store does not have is our fault, and logged", async () => {
  services.files[DOCUMENT].file.key = "teachers/nobody/original.pdf";
  for (const method of ["GET", "HEAD"]) {
    const { status, headers } = await open({ method });
    assert.deepEqual([status, headers["retry-after"], headers["cache-control"]], [503, "1", "no-store"]);
  }
  assert.ok(edge.log.some((line) => line.includes("a confirmed file is missing")), edge.log.join("\n"));
});

test("the web app asks for parts from its own host", async () => {
  const headers = { origin: APP, "access-control-request-method": "GET", "access-control-request-headers": "authorization,range,if-range" };
  const preflight = await open({ method: "OPTIONS", person: null, headers });
  assert.equal(preflight.status, 204);
  for (const name of ["authorization", "range", "if-range"]) {
    assert.ok(preflight.headers["access-control-allow-headers"].split(", ").includes(name), name);
  }
});

test("readers who leave after the first bytes leave nothing behind", async () => {
  for (let reader = 0; reader < 40; reader++) {
    const { status, body } = await open({ limit: 0 });
    assert.equal(status, 200);
    assert.ok(body.length < BYTES.length);
  }
  assert.ok((await open()).body.equals(BYTES));
});
