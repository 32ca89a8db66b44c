// The S3 API over R2 bucket bindings, as R2 itself offers it: one store, two faces. Local only.
//
// Bindings: every R2 bucket by any name, BUCKETS (bucket name -> binding name), the key pair
// S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, and ALLOWED_ORIGINS for browsers.

import { xml } from "./s3/encoding.mjs";
import { S3Error } from "./s3/error.mjs";
import * as multipart from "./s3/multipart.mjs";
import * as objects from "./s3/objects.mjs";
import { verify } from "./s3/signature.mjs";

export default {
  async fetch(request, env) {
    const cors = corsHeaders(request, env);
    if (request.method === "OPTIONS") return new Response(null, { status: cors ? 204 : 403, headers: cors ?? {} });
    const url = new URL(request.url);
    let response;
    try {
      const credentials = { accessKeyId: env.S3_ACCESS_KEY_ID, secretAccessKey: env.S3_SECRET_ACCESS_KEY };
      const { payloadSha256 } = await verify(request, credentials, Date.now());
      response = await answer(request, env, url, payloadSha256);
    } catch (error) {
      response = refusal(error).toResponse(request, url.pathname);
    }
    for (const [name, value] of Object.entries(cors ?? {})) response.headers.set(name, value);
    return response;
  },
};

async function answer(request, env, url, payloadSha256) {
  const [name, ...rest] = url.pathname.slice(1).split("/").map(decodeURIComponent);
  const bucketOf = (bucketName) => {
    const bucket = env[env.BUCKETS[bucketName]];
    if (!bucket) throw new S3Error("NoSuchBucket", "The bucket does not exist.");
    return bucket;
  };
  const bucket = bucketOf(name);
  const key = rest.join("/");
  const params = url.searchParams;
  const has = (param) => params.has(param);
  const text = async () => new TextDecoder().decode(await multipart.signedBody(request, payloadSha256));
  const { method } = request;

  if (key === "") {
    if (method === "HEAD") return new Response(null);
    if (method === "GET" && has("location")) return xml("LocationConstraint", "auto");
    if (method === "GET" && params.get("list-type") === "2") return objects.list(bucket, name, params);
    if (method === "POST" && has("delete")) return objects.removeMany(bucket, await text());
    throw new S3Error("NotImplemented", "This call on buckets is not supported.");
  }
  switch (method) {
    case "GET":
    case "HEAD":
      return objects.read(bucket, key, request);
    case "PUT":
      if (has("partNumber")) return multipart.uploadPart(bucket, key, params, request, payloadSha256);
      if (request.headers.has("x-amz-copy-source")) return objects.copy(bucketOf, bucket, key, request);
      return objects.write(bucket, key, request, payloadSha256);
    case "POST":
      if (has("uploads")) return multipart.create(bucket, name, key, request);
      if (has("uploadId")) return multipart.complete(bucket, name, key, params, await text());
      throw new S3Error("NotImplemented", "This call on objects is not supported.");
    case "DELETE":
      return has("uploadId") ? multipart.abort(bucket, key, params) : objects.remove(bucket, key);
    default:
      throw new S3Error("MethodNotAllowed", "The method is not allowed against this resource.");
  }
}

function refusal(error) {
  if (error instanceof S3Error) return error;
  if (/range.*satisfiable|10039/i.test(error.message)) {
    return new S3Error("InvalidRange", "The requested range is not satisfiable.");
  }
  console.error(error.stack);
  return new S3Error("InternalError", "Something went wrong.");
}

/** Browsers upload straight to a presigned URL; null for an origin that may not. */
function corsHeaders(request, env) {
  const origin = request.headers.get("origin");
  if (!origin || !env.ALLOWED_ORIGINS.split(",").includes(origin)) return null;
  return {
    "access-control-allow-origin": origin,
    "access-control-allow-methods": "GET, HEAD, PUT",
    "access-control-allow-headers": request.headers.get("access-control-request-headers") ?? "content-type",
    "access-control-expose-headers": "etag, content-length, content-range",
    "access-control-max-age": "3600",
    vary: "origin",
  };
}
