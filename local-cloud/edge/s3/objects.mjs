// Objects and lists of them, over an R2 bucket binding.

import { elements, encode, escapeXml, unescapeXml, xml } from "./encoding.mjs";
import { S3Error } from "./error.mjs";

const METADATA_PREFIX = "x-amz-meta-";

/** GET and HEAD, with ranges and conditions. */
export async function read(bucket, key, request) {
  const isHead = request.method === "HEAD";
  const object = isHead
    ? await bucket.head(key)
    : await bucket.get(key, { range: request.headers, onlyIf: request.headers });
  if (object === null) throw new S3Error("NoSuchKey", "The key does not exist.");
  const headers = headersOf(object);
  if (isHead) {
    headers.set("content-length", String(object.size));
    return new Response(null, { headers });
  }
  if (object.body === undefined) {
    const isUnchanged = ["if-none-match", "if-modified-since"].some((name) => request.headers.has(name));
    if (isUnchanged) return new Response(null, { status: 304, headers });
    throw new S3Error("PreconditionFailed", "A condition of the request does not hold.");
  }
  if (!request.headers.has("range") || object.range === undefined) {
    headers.set("content-length", String(object.size));
    return new Response(object.body, { headers });
  }
  const offset = object.range.suffix === undefined ? (object.range.offset ?? 0) : object.size - object.range.suffix;
  const length = object.range.length ?? object.size - offset;
  headers.set("content-length", String(length));
  headers.set("content-range", `bytes ${offset}-${offset + length - 1}/${object.size}`);
  return new Response(object.body, { status: 206, headers });
}

/** PUT of a whole object. R2 itself checks the hashes and refuses a body that differs. */
export async function write(bucket, key, request, payloadSha256) {
  if (!request.headers.has("content-length") && request.body !== null) {
    throw new S3Error("MissingContentLength", "You must provide the Content-Length HTTP header.");
  }
  const options = { httpMetadata: request.headers, customMetadata: metadataOf(request) };
  const checksum = request.headers.get("x-amz-checksum-sha256");
  const md5 = request.headers.get("content-md5");
  if (checksum) options.sha256 = fromBase64(checksum);
  else if (payloadSha256) options.sha256 = payloadSha256;
  else if (md5) options.md5 = fromBase64(md5);
  if (request.headers.get("if-none-match") === "*") options.onlyIf = { etagDoesNotMatch: "*" };
  let object;
  try {
    object = await bucket.put(key, request.body ?? new Uint8Array(), options);
  } catch (error) {
    if (!/checksum|digest|hash/i.test(error.message)) throw error;
    const code = checksum || md5 ? "BadDigest" : "XAmzContentSHA256Mismatch";
    throw new S3Error(code, "The body does not match the hash that was sent with it.");
  }
  if (object === null) throw new S3Error("PreconditionFailed", "The key exists.");
  return new Response(null, { headers: { etag: object.httpEtag } });
}

/** PUT with `x-amz-copy-source`; within and between buckets. */
export async function copy(bucketOf, bucket, key, request) {
  const [sourceBucket, sourceKey] = copySource(request);
  const source = await bucketOf(sourceBucket).get(sourceKey);
  if (source === null) throw new S3Error("NoSuchKey", "The copy source does not exist.");
  const replaces = request.headers.get("x-amz-metadata-directive") === "REPLACE";
  const object = await bucket.put(key, source.body, {
    httpMetadata: replaces ? request.headers : source.httpMetadata,
    customMetadata: replaces ? metadataOf(request) : source.customMetadata,
  });
  return xml(
    "CopyObjectResult",
    `<LastModified>${object.uploaded.toISOString()}</LastModified><ETag>${escapeXml(object.httpEtag)}</ETag>`,
  );
}

/** DELETE: the same reply whether or not there was such a key. */
export async function remove(bucket, key) {
  await bucket.delete(key);
  return new Response(null, { status: 204 });
}

/** POST `?delete`: many keys at once. */
export async function removeMany(bucket, body) {
  const keys = elements(body, "Key").map(unescapeXml);
  if (keys.length === 0 || keys.length > 1000) {
    throw new S3Error("MalformedXML", "1 to 1,000 keys are needed.");
  }
  await bucket.delete(keys);
  const isQuiet = elements(body, "Quiet")[0] === "true";
  const deleted = keys.map((key) => `<Deleted><Key>${escapeXml(key)}</Key></Deleted>`);
  return xml("DeleteResult", isQuiet ? "" : deleted.join(""));
}

/** ListObjectsV2. R2's cursor is the continuation token. */
export async function list(bucket, name, params) {
  const limit = Number(params.get("max-keys") ?? 1000);
  if (!Number.isInteger(limit) || limit < 0) {
    throw new S3Error("InvalidArgument", "max-keys is not a count.");
  }
  const text = params.get("encoding-type") === "url" ? (key) => encode(key).replaceAll("%2F", "/") : escapeXml;
  const page = await bucket.list({
    prefix: params.get("prefix") ?? undefined,
    delimiter: params.get("delimiter") ?? undefined,
    cursor: params.get("continuation-token") ?? undefined,
    startAfter: params.get("start-after") ?? undefined,
    limit: Math.min(Math.max(limit, 1), 1000),
  });
  const contents = page.objects.map(
    (object) =>
      `<Contents><Key>${text(object.key)}</Key><LastModified>${object.uploaded.toISOString()}</LastModified>` +
      `<ETag>${escapeXml(object.httpEtag)}</ETag><Size>${object.size}</Size><StorageClass>STANDARD</StorageClass></Contents>`,
  );
  const prefixes = page.delimitedPrefixes.map(
    (prefix) => `<CommonPrefixes><Prefix>${text(prefix)}</Prefix></CommonPrefixes>`,
  );
  const element = (tag, value) => (value ? `<${tag}>${escapeXml(value)}</${tag}>` : "");
  return xml(
    "ListBucketResult",
    [
      element("Name", name),
      `<Prefix>${text(params.get("prefix") ?? "")}</Prefix>`,
      element("Delimiter", params.get("delimiter")),
      `<MaxKeys>${limit}</MaxKeys><KeyCount>${page.objects.length + page.delimitedPrefixes.length}</KeyCount>`,
      `<IsTruncated>${page.truncated}</IsTruncated>`,
      element("EncodingType", params.get("encoding-type")),
      element("ContinuationToken", params.get("continuation-token")),
      page.truncated ? element("NextContinuationToken", page.cursor) : "",
      ...contents,
      ...prefixes,
    ].join(""),
  );
}

/** `x-amz-meta-` headers as custom metadata. */
export function metadataOf(request) {
  const entries = [...request.headers].filter(([name]) => name.startsWith(METADATA_PREFIX));
  return Object.fromEntries(entries.map(([name, value]) => [name.slice(METADATA_PREFIX.length), value]));
}

/** Bucket and key of `x-amz-copy-source`. */
export function copySource(request) {
  const source = decodeURIComponent(request.headers.get("x-amz-copy-source")).replace(/^\//, "");
  const slash = source.indexOf("/");
  if (slash < 1) throw new S3Error("InvalidArgument", "x-amz-copy-source is not <bucket>/<key>.");
  return [source.slice(0, slash), source.slice(slash + 1)];
}

function headersOf(object) {
  const headers = new Headers({
    etag: object.httpEtag,
    "last-modified": object.uploaded.toUTCString(),
    "accept-ranges": "bytes",
  });
  object.writeHttpMetadata(headers);
  for (const [name, value] of Object.entries(object.customMetadata ?? {})) {
    headers.set(METADATA_PREFIX + name, value);
  }
  if (object.checksums.sha256) {
    const bytes = new Uint8Array(object.checksums.sha256);
    headers.set("x-amz-checksum-sha256", btoa(String.fromCharCode(...bytes)));
  }
  return headers;
}

function fromBase64(text) {
  try {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  } catch {
    throw new S3Error("InvalidArgument", "A checksum is not base64.");
  }
}
