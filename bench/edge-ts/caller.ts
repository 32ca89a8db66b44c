// Who asks: the access token, by the sign-in service's key set, and the counters.

import type { Context } from "hono";
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload } from "jose";
import type { Environment, RateLimit } from "./bindings";
import { Problem } from "./problem";
import { stage } from "./stages";

const LEEWAY_S = 30;
const MAX_TOKEN_BYTES = 8 * 1024;

// jose keeps the set and the imported keys.
let keySet: ReturnType<typeof createRemoteJWKSet> | undefined;

export async function signedIn(c: Context<Environment>): Promise<JWTPayload> {
  let claims: JWTPayload;
  try {
    claims = await stage(c, "auth", () => authenticate(c));
  } catch (error) {
    await count(c.env.IP_RATE_LIMIT, c.req.header("cf-connecting-ip") ?? "unknown");
    throw error;
  }
  await count(c.env.USER_RATE_LIMIT, claims.sub!);
  return claims;
}

async function authenticate(c: Context<Environment>): Promise<JWTPayload> {
  const header = c.req.header("authorization");
  if (!header || !/^bearer /i.test(header)) throw new Problem("token-missing");
  const token = header.slice("bearer ".length).trim();
  if (token.length > MAX_TOKEN_BYTES) throw new Problem("token-invalid");
  keySet ??= createRemoteJWKSet(new URL(`${c.env.SUPABASE_URL}/auth/v1/.well-known/jwks.json`), {
    headers: { apikey: c.env.SUPABASE_ANON_KEY },
    timeoutDuration: 1_500,
  });
  try {
    const { payload } = await jwtVerify(token, keySet, {
      algorithms: ["RS256", "ES256"],
      issuer: c.env.JWT_ISSUER,
      audience: c.env.JWT_AUDIENCE,
      clockTolerance: LEEWAY_S,
      requiredClaims: ["exp", "sub"],
    });
    const role = (payload.app_metadata as { role?: string } | undefined)?.role;
    if (payload.role !== c.env.JWT_AUDIENCE || !role) throw new Problem("token-invalid");
    return payload;
  } catch (error) {
    throw new Problem(error instanceof errors.JWTExpired ? "token-expired" : "token-invalid");
  }
}

async function count(limiter: RateLimit, key: string): Promise<void> {
  const { success } = await limiter.limit({ key });
  if (!success) throw new Problem("rate-limited");
}
