// Refusals, as RFC 9457 has them.

const KINDS = {
  "token-missing": [401, "Sign in first"],
  "token-invalid": [401, "The access token is not valid"],
  "token-expired": [401, "The access token has expired"],
  "body-invalid": [422, "The request body is not valid"],
  "query-invalid": [422, "The question is not valid"],
  "rate-limited": [429, "Too many requests"],
  "origin-unavailable": [503, "The library is unavailable"],
  "not-found": [404, "Not found"],
  internal: [500, "Something went wrong on our side"],
} as const;

export type Kind = keyof typeof KINDS;

export class Problem extends Error {
  constructor(
    readonly kind: Kind,
    readonly detail?: string,
  ) {
    super(kind);
  }

  toResponse(requestId: string): Response {
    const [status, title] = KINDS[this.kind];
    const type = `urn:etude:problem:${this.kind}`;
    const body = { type, title, status, detail: this.detail, instance: requestId };
    const headers: Record<string, string> = { "content-type": "application/problem+json" };
    if (status === 429) headers["retry-after"] = "60";
    return new Response(JSON.stringify(body), { status, headers });
  }
}
