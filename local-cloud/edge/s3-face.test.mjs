// The S3 face of the buckets: whom it lets in, and that it keeps and returns bytes as S3 does.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { AwsClient } from "aws4fetch";
import { SECRETS, start } from "./testing/edge.mjs";

let edge, folder, base;
const client = (options) =>
  new AwsClient({
    accessKeyId: SECRETS.S3_ACCESS_KEY_ID,
    secretAccessKey: SECRETS.S3_SECRET_ACCESS_KEY,
    service: "s3",
    region: "auto",
    ...options,
  });
const s3 = client();

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "s3-face-"));
  edge = await start("--persist", folder);
  base = `${edge.s3}/piano-pdfs`;
});
after(async () => {
  await edge?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A URL signed in its query. `at` is the time of signing. */
async function presign(url, { method = "PUT", expires = 600, at = new Date(), by = s3, headers } = {}) {
  const signed = new URL(url);
  signed.searchParams.set("X-Amz-Expires", expires);
  const datetime = at.toISOString().replace(/[-:]|\.\d+/g, "");
  const request = await by.sign(signed, { method, headers, aws: { signQuery: true, allHeaders: true, datetime } });
  return request.url;
}

const codeOf = async (reply) => `${reply.status} ${/<Code>(\w+)<\/Code>/.exec(await reply.text())?.[1]}`;

test("an upload by presigned URL comes back, by either face's rules", async () => {
  const key = "temp-uploads/ä b+c/original (1).pdf";
  const url = `${base}/${key.split("/").map(encodeURIComponent).join("/")}`;
  const put = await fetch(await presign(url, { headers: { "content-type": "application/pdf" } }), {
    method: "PUT",
    headers: { "content-type": "application/pdf" },
    body: "%PDF-1.7 scales",
  });
  assert.equal(put.status, 200, await put.text());
  assert.equal(put.headers.get("etag"), `"${createHash("md5").update("%PDF-1.7 scales").digest("hex")}"`);

  const get = await s3.fetch(url);
  assert.equal(await get.text(), "%PDF-1.7 scales");
  assert.equal(get.headers.get("content-type"), "application/pdf");
  const head = await s3.fetch(url, { method: "HEAD" });
  assert.equal(head.headers.get("content-length"), "15");
  assert.equal(await (await fetch(await presign(url, { method: "GET" }))).text(), "%PDF-1.7 scales");
});

test("ranges and conditions", async () => {
  await s3.fetch(`${base}/range`, { method: "PUT", body: "0123456789" });
  const ranges = { "bytes=2-4": "234", "bytes=7-": "789", "bytes=-3": "789" };
  for (const [range, expected] of Object.entries(ranges)) {
    const part = await s3.fetch(`${base}/range`, { headers: { range } });
    assert.equal(part.status, 206);
    assert.equal(await part.text(), expected);
  }
  const head = (await s3.fetch(`${base}/range`, { headers: { range: "bytes=2-4" } })).headers;
  assert.equal(head.get("content-range"), "bytes 2-4/10");
  const etag = head.get("etag");
  const unchanged = await s3.fetch(`${base}/range`, { headers: { "if-none-match": etag } });
  assert.equal(unchanged.status, 304);
  const again = await s3.fetch(`${base}/range`, { method: "PUT", body: "x", headers: { "if-none-match": "*" } });
  assert.equal(await codeOf(again), "412 PreconditionFailed");
});

test("copy, delete and what is not there", async () => {
  await s3.fetch(`${base}/from`, { method: "PUT", body: "bytes", headers: { "x-amz-meta-owner": "first_student" } });
  const to = `${edge.s3}/piano-knowledge/teachers/to`;
  const copied = await s3.fetch(to, { method: "PUT", headers: { "x-amz-copy-source": "/piano-pdfs/from" } });
  assert.match(await copied.text(), /<CopyObjectResult/);
  const copy = await s3.fetch(to);
  assert.equal(copy.headers.get("x-amz-meta-owner"), "first_student");
  assert.equal(await copy.text(), "bytes");
  for (let i = 0; i < 2; i++) assert.equal((await s3.fetch(to, { method: "DELETE" })).status, 204);
  assert.equal(await codeOf(await s3.fetch(to)), "404 NoSuchKey");
  assert.equal((await s3.fetch(to, { method: "HEAD" })).status, 404);
  assert.equal(await codeOf(await s3.fetch(`${edge.s3}/no-bucket/key`)), "404 NoSuchBucket");
});

test("lists are paged and grouped", async () => {
  for (const key of ["list/a/1", "list/a/2", "list/b", "list/c&d"]) await s3.fetch(`${base}/${encodeURIComponent(key).replaceAll("%2F", "/")}`, { method: "PUT", body: "x" });
  const grouped = await (await s3.fetch(`${base}?list-type=2&prefix=list/&delimiter=/`)).text();
  assert.match(grouped, /<CommonPrefixes><Prefix>list\/a\/<\/Prefix><\/CommonPrefixes>/);
  assert.match(grouped, /<Key>list\/c&amp;d<\/Key>/);
  const keys = [];
  let token = "";
  do {
    const page = await (await s3.fetch(`${base}?list-type=2&prefix=list/&max-keys=3${token && `&continuation-token=${encodeURIComponent(token)}`}`)).text();
    keys.push(...Array.from(page.matchAll(/<Key>(.*?)<\/Key>/g), (match) => match[1]));
    token = /<NextContinuationToken>(.*?)<\/NextContinuationToken>/.exec(page)?.[1];
  } while (token);
  assert.equal(keys.length, 4);
});

test("a large file in parts", async () => {
  const created = await (await s3.fetch(`${base}/large?uploads`, { method: "POST" })).text();
  const id = encodeURIComponent(/<UploadId>(.*?)<\/UploadId>/.exec(created)[1]);
  const parts = [Buffer.alloc(5 * 1024 * 1024, "a"), Buffer.from("the end")];
  let xml = "";
  for (const [i, body] of parts.entries()) {
    const put = await s3.fetch(`${base}/large?partNumber=${i + 1}&uploadId=${id}`, { method: "PUT", body });
    xml += `<Part><PartNumber>${i + 1}</PartNumber><ETag>${put.headers.get("etag")}</ETag></Part>`;
  }
  const body = `<CompleteMultipartUpload>${xml}</CompleteMultipartUpload>`;
  const completed = await s3.fetch(`${base}/large?uploadId=${id}`, { method: "POST", body });
  assert.match(await completed.text(), /<CompleteMultipartUploadResult/);
  assert.deepEqual(Buffer.from(await (await s3.fetch(`${base}/large`)).arrayBuffer()), Buffer.concat(parts));

  const other = await (await s3.fetch(`${base}/other?uploads`, { method: "POST" })).text();
  const otherId = encodeURIComponent(/<UploadId>(.*?)<\/UploadId>/.exec(other)[1]);
  assert.equal((await s3.fetch(`${base}/other?uploadId=${otherId}`, { method: "DELETE" })).status, 204);
  assert.equal((await s3.fetch(`${base}/other`, { method: "HEAD" })).status, 404);
});

test("a body that is not what was signed or announced is not kept", async () => {
  const signed = await s3.sign(`${base}/hash`, { method: "PUT", body: "announced", headers: { "x-amz-content-sha256": createHash("sha256").update("announced").digest("hex") } });
  const swapped = await fetch(signed.url, { method: "PUT", headers: signed.headers, body: "otherwise" });
  assert.equal(await codeOf(swapped), "400 XAmzContentSHA256Mismatch");
  const headers = { "x-amz-checksum-sha256": createHash("sha256").update("announced").digest("base64") };
  const bad = await s3.fetch(`${base}/hash`, { method: "PUT", headers, body: "otherwise" });
  assert.equal(await codeOf(bad), "400 BadDigest");
  assert.equal((await s3.fetch(`${base}/hash`, { method: "HEAD" })).status, 404);
  assert.equal((await s3.fetch(`${base}/hash`, { method: "PUT", headers, body: "announced" })).status, 200);
  const kept = await s3.fetch(`${base}/hash`, { method: "HEAD" });
  assert.equal(kept.headers.get("x-amz-checksum-sha256"), headers["x-amz-checksum-sha256"]);
});

test("who can't sign is refused, in headers and in URLs", async () => {
  const url = `${base}/secret`;
  await s3.fetch(url, { method: "PUT", body: "secret" });
  assert.equal(await codeOf(await fetch(url)), "403 AccessDenied");
  const wrongKey = client({ secretAccessKey: "guess" });
  assert.equal(await codeOf(await wrongKey.fetch(url)), "403 SignatureDoesNotMatch");
  assert.equal(await codeOf(await fetch(await presign(url, { method: "GET", by: wrongKey }))), "403 SignatureDoesNotMatch");
  const stranger = client({ accessKeyId: "stranger" });
  assert.equal(await codeOf(await stranger.fetch(url)), "403 InvalidAccessKeyId");
});

test("a signature is for one path, method, query and time", async () => {
  const url = `${base}/mine`;
  await s3.fetch(url, { method: "PUT", body: "mine" });
  const get = await presign(url, { method: "GET" });
  assert.equal((await fetch(get)).status, 200);
  for (const tampered of [get.replace("/mine", "/secret"), `${get}&versionId=1`, get.replace("Expires=600", "Expires=6000")]) {
    assert.equal(await codeOf(await fetch(tampered)), "403 SignatureDoesNotMatch");
  }
  assert.equal(await codeOf(await fetch(get, { method: "PUT", body: "x" })), "403 SignatureDoesNotMatch");

  const ago = (s) => new Date(Date.now() - s * 1000);
  assert.equal((await fetch(await presign(url, { method: "GET", at: ago(590) }))).status, 200);
  assert.equal(await codeOf(await fetch(await presign(url, { method: "GET", at: ago(601) }))), "403 AccessDenied");
  assert.equal(await codeOf(await fetch(await presign(url, { method: "GET", at: ago(-1000) }))), "403 RequestTimeTooSkewed");
  assert.equal(await codeOf(await fetch(await presign(url, { method: "GET", expires: 700000 }))), "400 AuthorizationQueryParametersError");

  const headers = { "x-amz-copy-source": "/piano-pdfs/secret" };
  const smuggled = await fetch(await presign(url), { method: "PUT", headers });
  assert.equal(await codeOf(smuggled), "403 AccessDenied");
});

test("pages of ours may upload, others may not", async () => {
  const ask = (origin) =>
    fetch(`${base}/x`, { method: "OPTIONS", headers: { origin, "access-control-request-method": "PUT", "access-control-request-headers": "content-type" } });
  const ours = await ask("http://localhost:8787");
  assert.equal(ours.status, 204);
  assert.match(ours.headers.get("access-control-allow-methods"), /PUT/);
  assert.equal((await ask("https://elsewhere.example")).status, 403);
});

test("what was stored survives a restart", async () => {
  await s3.fetch(`${base}/lasting`, { method: "PUT", body: "still here" });
  await edge.stop();
  edge = await start("--persist", folder);
  base = `${edge.s3}/piano-pdfs`;
  assert.equal(await (await s3.fetch(`${base}/lasting`)).text(), "still here");
});
