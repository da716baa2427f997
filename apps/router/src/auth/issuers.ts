import { z } from 'zod/mini';
import { type Services, servicesOf } from './services.ts';

/** Who issues tokens, for whom, and what they open. */
export type Issuer = {
  readonly issuer: string;
  readonly audience: readonly string[];
  /** Where its keys are; by OIDC discovery when undefined. */
  readonly jwksUri: string | undefined;
  readonly jwks: { readonly keys: readonly Record<string, unknown>[] } | undefined;
  readonly opens: Services;
};

const list = z.pipe(
  z.union([z.string(), z.array(z.string())]),
  z.transform((value) => (typeof value === 'string' ? [value] : value)),
);
const schema = z.array(
  z.strictObject({
    issuer: z.string().check(z.minLength(1)),
    audience: list,
    services: list,
    jwksUri: z.optional(z.url()),
    jwks: z.optional(z.object({ keys: z.array(z.record(z.string(), z.unknown())) })),
  }),
);

/** Reads `issuers.json`: a list of `{issuer, audience, services, jwksUri?, jwks?}`. Throws with what is wrong. */
export function parseIssuers(text: string): readonly Issuer[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`issuers.json is no JSON: ${(error as Error).message}`);
  }
  const result = schema.safeParse(value);
  if (!result.success) throw new Error(`issuers.json: ${z.prettifyError(result.error).replaceAll(/\s*\n\s*/g, ' ')}`);
  return result.data.map(({ services, audience, jwksUri, jwks, issuer }) => {
    if (audience.length === 0)
      throw new Error(`issuers.json: ${issuer} names no audience, so any token of it would do`);
    return { issuer, audience, jwksUri, jwks, opens: servicesOf(services) };
  });
}
