// Uploads in parts, over R2's own multipart uploads.

import { elements, escapeXml, hex, unescapeXml, xml } from "./encoding.mjs";
import { S3Error } from "./error.mjs";
import { metadataOf } from "./objects.mjs";

/** POST `?uploads`. */
export async function create(bucket, name, key, request) {
  const upload = await bucket.createMultipartUpload(key, {
    httpMetadata: request.headers,
    customMetadata: metadataOf(request),
  });
  return xml(
    "InitiateMultipartUploadResult",
    `<Bucket>${escapeXml(name)}</Bucket><Key>${escapeXml(key)}</Key><UploadId>${escapeXml(upload.uploadId)}</UploadId>`,
  );
}

/** PUT `?partNumber&uploadId`. */
export async function uploadPart(bucket, key, params, request, payloadSha256) {
  const number = Number(params.get("partNumber"));
  if (!Number.isInteger(number) || number < 1 || number > 10_000) {
    throw new S3Error("InvalidArgument", "partNumber must be 1 to 10,000.");
  }
  let body = request.body ?? new Uint8Array();
  if (payloadSha256) {
    // R2 checks whole objects only, so a signed part is hashed here.
    body = await signedBody(request, payloadSha256);
  }
  const part = await resume(bucket, key, params, (upload) => upload.uploadPart(number, body));
  return new Response(null, { headers: { etag: `"${part.etag}"` } });
}

/** POST `?uploadId`. */
export async function complete(bucket, name, key, params, body) {
  const parts = elements(body, "Part").map((part) => ({
    partNumber: Number(elements(part, "PartNumber")[0]),
    etag: unescapeXml(elements(part, "ETag")[0] ?? "").replaceAll('"', ""),
  }));
  if (parts.length === 0) throw new S3Error("MalformedXML", "No part is named.");
  if (parts.some((part, i) => i > 0 && part.partNumber <= parts[i - 1].partNumber)) {
    throw new S3Error("InvalidPartOrder", "The parts are not in ascending order.");
  }
  const object = await resume(bucket, key, params, (upload) => upload.complete(parts));
  return xml(
    "CompleteMultipartUploadResult",
    `<Bucket>${escapeXml(name)}</Bucket><Key>${escapeXml(key)}</Key><ETag>${escapeXml(object.httpEtag)}</ETag>`,
  );
}

/** DELETE `?uploadId`. */
export async function abort(bucket, key, params) {
  await resume(bucket, key, params, (upload) => upload.abort());
  return new Response(null, { status: 204 });
}

/** The whole body, checked against its signed hash where there is one. */
export async function signedBody(request, payloadSha256) {
  const body = await request.arrayBuffer();
  if (payloadSha256 && hex(await crypto.subtle.digest("SHA-256", body)) !== payloadSha256) {
    throw new S3Error("XAmzContentSHA256Mismatch", "The body does not match the signed hash.");
  }
  return body;
}

async function resume(bucket, key, params, action) {
  try {
    return await action(bucket.resumeMultipartUpload(key, params.get("uploadId")));
  } catch (error) {
    // R2's codes: 10024 no such upload, 10025 invalid part, 10011 part too small.
    if (/10024|does not exist/.test(error.message)) {
      throw new S3Error("NoSuchUpload", "There is no such upload.");
    }
    if (/10025|could not be found/.test(error.message)) {
      throw new S3Error("InvalidPart", "A part was not found or has another ETag.");
    }
    if (/10011|smaller than/.test(error.message)) {
      throw new S3Error("EntityTooSmall", "Every part but the last must have 5 MiB.");
    }
    throw error;
  }
}
