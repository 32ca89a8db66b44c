// What the Worker is given: the bindings and variables of wrangler.toml.

export interface KvNamespace {
  get(key: string, options: { type: "json"; cacheTtl: number }): Promise<unknown>;
  get(key: string, options: { type: "arrayBuffer"; cacheTtl: number }): Promise<ArrayBuffer | null>;
  put(key: string, value: string | ArrayBuffer, options: { expirationTtl: number }): Promise<void>;
}

export interface Bindings {
  AI: { run(model: string, inputs: object): Promise<any> };
  EMBED_CACHE: KvNamespace;
  SEARCH_CACHE: KvNamespace;
  ANSWER_CACHE: KvNamespace;
  SCOPE_CACHE: KvNamespace;
  USER_RATE_LIMIT: RateLimit;
  IP_RATE_LIMIT: RateLimit;
  ORIGIN_URL: string;
  SUPABASE_URL: string;
  JWT_ISSUER: string;
  JWT_AUDIENCE: string;
  EMBEDDING_MODEL: string;
  EMBEDDING_POOLING: string;
  RERANK_MODEL: string;
  ANSWER_MODEL: string;
  ALLOWED_ORIGINS: string;
  EDGE_TOKEN: string;
  SUPABASE_ANON_KEY: string;
}

export interface RateLimit {
  limit(options: { key: string }): Promise<{ success: boolean }>;
}

export interface Variables {
  requestId: string;
  traceparent: string;
  stages: string[];
  notes: Record<string, unknown>;
}

export type Environment = { Bindings: Bindings; Variables: Variables };
