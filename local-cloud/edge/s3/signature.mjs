// AWS Signature Version 4 for S3, checked as the service checks it.
// Source: "Authenticating Requests (AWS Signature Version 4)" of the S3 API reference.

import { encode, hex } from "./encoding.mjs";
import { S3Error } from "./error.mjs";

const ALGORITHM = "AWS4-HMAC-SHA256";
const MAX_SKEW_MS = 15 * 60 * 1000;
const MAX_EXPIRES_S = 7 * 24 * 60 * 60;
const UNSIGNED = "UNSIGNED-PAYLOAD";

/**
 * Checks the signature of a request, in its headers or in its query.
 *
 * @param {Request} request
 * @param {{accessKeyId: string, secretAccessKey: string}} credentials
 * @param {number} now milliseconds since 1970
 * @returns {Promise<{payloadSha256: string | null}>} what the body must hash to; null if unsigned
 * @throws {S3Error}
 */
export async function verify(request, credentials, now) {
  const url = new URL(request.url);
  const query = parseQuery(url.search);
  const isPresigned = query.some(([name]) => name === "X-Amz-Signature");
  const claim = isPresigned ? fromQuery(query) : fromHeader(request);

  const [accessKeyId, day, region, service, terminator, ...rest] = claim.credential.split("/");
  if (rest.length > 0 || service !== "s3" || terminator !== "aws4_request") {
    throw new S3Error(claim.malformed, "The credential is not <key>/<day>/<region>/s3/aws4_request.");
  }
  if (accessKeyId !== credentials.accessKeyId) {
    throw new S3Error("InvalidAccessKeyId", "The access key id does not exist.");
  }
  checkTime(claim, day, now);
  checkSignedHeaders(request, claim);

  const canonical = [
    request.method,
    canonicalPath(url.pathname),
    canonicalQuery(query),
    ...claim.signedHeaders.map((name) => `${name}:${canonicalHeader(request, url, name)}`),
    "",
    claim.signedHeaders.join(";"),
    claim.payload,
  ].join("\n");
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = [ALGORITHM, claim.date, scope, hex(await sha256(canonical))].join("\n");

  let key = new TextEncoder().encode(`AWS4${credentials.secretAccessKey}`);
  for (const part of [day, region, "s3", "aws4_request"]) key = await hmac(key, part);
  const expected = hex(await hmac(key, text));
  if (!isSame(expected, claim.signature)) {
    throw new S3Error("SignatureDoesNotMatch", "The signature does not match the request.");
  }
  return { payloadSha256: claim.payload === UNSIGNED ? null : claim.payload };
}

function fromHeader(request) {
  const header = request.headers.get("authorization");
  if (!header) throw new S3Error("AccessDenied", "Anonymous access is not allowed.");
  const malformed = "AuthorizationHeaderMalformed";
  const [algorithm, ...rest] = header.split(" ");
  const parts = new Map(
    rest
      .join(" ")
      .split(",")
      .map((part) => part.trim().split(/=(.*)/s).slice(0, 2)),
  );
  const [credential, signed, signature] = ["Credential", "SignedHeaders", "Signature"].map((name) =>
    parts.get(name),
  );
  const date = request.headers.get("x-amz-date") ?? "";
  const payload = request.headers.get("x-amz-content-sha256") ?? "";
  if (algorithm !== ALGORITHM || !credential || !signed || !signature) {
    throw new S3Error(malformed, "The Authorization header is not one of signature version 4.");
  }
  if (payload.startsWith("STREAMING-")) {
    throw new S3Error("NotImplemented", "Bodies signed in pieces are not supported.");
  }
  if (payload !== UNSIGNED && !/^[0-9a-f]{64}$/.test(payload)) {
    throw new S3Error("InvalidArgument", "x-amz-content-sha256 is neither a hash nor UNSIGNED-PAYLOAD.");
  }
  return { credential, signature, date, payload, malformed, signedHeaders: signed.split(";") };
}

function fromQuery(query) {
  const malformed = "AuthorizationQueryParametersError";
  const only = (name) => {
    const values = query.filter(([given]) => given === name);
    if (values.length !== 1) throw new S3Error(malformed, `${name} is needed exactly once.`);
    return values[0][1];
  };
  if (only("X-Amz-Algorithm") !== ALGORITHM) {
    throw new S3Error(malformed, `X-Amz-Algorithm only supports ${ALGORITHM}.`);
  }
  const expires = only("X-Amz-Expires");
  if (!/^\d{1,6}$/.test(expires) || +expires < 1 || +expires > MAX_EXPIRES_S) {
    throw new S3Error(malformed, `X-Amz-Expires must be 1 to ${MAX_EXPIRES_S} seconds.`);
  }
  return {
    credential: only("X-Amz-Credential"),
    signature: only("X-Amz-Signature"),
    date: only("X-Amz-Date"),
    expiresS: +expires,
    payload: UNSIGNED,
    malformed,
    signedHeaders: only("X-Amz-SignedHeaders").split(";"),
  };
}

function checkTime({ date, expiresS, malformed }, day, now) {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date);
  const at = parts ? Date.parse(date.replace(/^(.{4})(..)(..)T(..)(..)(..)Z$/, "$1-$2-$3T$4:$5:$6Z")) : NaN;
  if (Number.isNaN(at) || !date.startsWith(day)) {
    throw new S3Error(malformed, "The date is not YYYYMMDD'T'HHMMSS'Z' of the credential's day.");
  }
  if (expiresS === undefined ? Math.abs(now - at) > MAX_SKEW_MS : at - now > MAX_SKEW_MS) {
    throw new S3Error("RequestTimeTooSkewed", "The request's time is too far from the server's.");
  }
  if (expiresS !== undefined && now > at + expiresS * 1000) {
    throw new S3Error("AccessDenied", "Request has expired");
  }
}

/** What is not signed could be changed on the way: `host` and every `x-amz-` header must be. */
function checkSignedHeaders(request, { signedHeaders, signature, malformed }) {
  const sorted = [...signedHeaders].sort();
  if (!signedHeaders.includes("host") || sorted.some((name, i) => name !== signedHeaders[i])) {
    throw new S3Error(malformed, "SignedHeaders must be sorted and include host.");
  }
  for (const name of request.headers.keys()) {
    if (name.startsWith("x-amz-") && !signedHeaders.includes(name)) {
      throw new S3Error("AccessDenied", `There were headers present which were not signed: ${name}`);
    }
  }
  if (!/^[0-9a-f]{64}$/.test(signature)) {
    throw new S3Error("SignatureDoesNotMatch", "The signature is not one of signature version 4.");
  }
}

/** Name and value of each parameter, decoded; `+` is a plus sign here, not a space. */
function parseQuery(search) {
  const pairs = search.slice(1).split("&").filter(Boolean);
  return pairs.map((pair) => {
    const [name, value = ""] = pair.split(/=(.*)/s);
    return [decode(name), decode(value)];
  });
}

function canonicalQuery(query) {
  return query
    .filter(([name]) => name !== "X-Amz-Signature")
    .map(([name, value]) => [encode(name), encode(value)])
    .sort(([a, x], [b, y]) => (a === b ? (x < y ? -1 : 1) : a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

function canonicalPath(pathname) {
  return pathname.split("/").map((part) => encode(decode(part))).join("/");
}

function canonicalHeader(request, url, name) {
  const value = name === "host" ? (request.headers.get("host") ?? url.host) : request.headers.get(name);
  return (value ?? "").trim().replace(/ +/g, " ");
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new S3Error("InvalidArgument", "The URL is not valid percent-encoding.");
  }
}

function sha256(text) {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}

async function hmac(key, text) {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", key, algorithm, false, ["sign"]);
  return crypto.subtle.sign("HMAC", imported, new TextEncoder().encode(text));
}

/** Compares two texts of 64 characters without telling where they differ. */
function isSame(a, b) {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
  return difference === 0;
}
