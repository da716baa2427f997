import type { Clock } from '@roundhouse/base';
import type { JWTVerifyGetKey } from 'jose';
import type { Issuer } from './issuers.ts';

/** What a token that was verified says. */
export type Token = { readonly subject: string; readonly issuer: Issuer; readonly untilMs: number };

export type Tokens = {
  /** A token that was verified before and still holds. */
  known(token: string): Token | undefined;
  /** Rejects with the `code` of jose's error, or `UNKNOWN_ISSUER`; with anything else when the issuer's keys cannot be had. */
  verify(token: string): Promise<Token>;
};

/** Verified tokens remembered; beyond, the oldest go. */
const knownMax = 4_096;
/** How long one is believed without another look, so that keys that were withdrawn are noticed. */
const believedMs = 300_000;
/** Signatures that anybody can check and only the issuer can make: RFC 8725 3.1. */
const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
const clockToleranceS = 30;
const fetchMs = 5_000;

/** Verifies JSON Web Tokens (RFC 7519) of `issuers`, whose keys are fetched when they are first needed, and kept. */
export function createTokens(clock: Clock, issuers: readonly Issuer[], fetchJson = fetchJsonOf): Tokens {
  const known = new Map<string, Token>();
  const keysOf = new Map<Issuer, Promise<JWTVerifyGetKey>>();

  const keys = (issuer: Issuer) => {
    const had = keysOf.get(issuer);
    if (had !== undefined) return had;
    const opened = openKeys(issuer, fetchJson);
    keysOf.set(issuer, opened);
    opened.catch(() => keysOf.delete(issuer)); // it is tried again with the next token
    return opened;
  };

  return {
    known(token) {
      const found = known.get(token);
      if (found === undefined || found.untilMs > clock.now()) return found;
      known.delete(token);
      return undefined;
    },
    async verify(token) {
      const { decodeJwt, jwtVerify } = await import('jose');
      const { iss } = decodeJwt(token);
      const issuer = issuers.find((one) => one.issuer === iss);
      if (issuer === undefined) throw Object.assign(new Error('no such issuer'), { code: 'UNKNOWN_ISSUER' });
      const { payload } = await jwtVerify(token, await keys(issuer), {
        issuer: issuer.issuer,
        audience: [...issuer.audience],
        algorithms,
        clockTolerance: clockToleranceS,
        currentDate: new Date(clock.now()),
        requiredClaims: ['exp'],
      });
      const expiresMs = (payload.exp ?? 0) * 1_000 + clockToleranceS * 1_000;
      const verified = { subject: payload.sub ?? '', issuer, untilMs: Math.min(expiresMs, clock.now() + believedMs) };
      if (known.size >= knownMax) known.delete(known.keys().next().value!);
      known.set(token, verified);
      return verified;
    },
  };
}

async function openKeys({ issuer, jwks, jwksUri }: Issuer, fetchJson: typeof fetchJsonOf): Promise<JWTVerifyGetKey> {
  const { createLocalJWKSet, createRemoteJWKSet } = await import('jose');
  if (jwks !== undefined) return createLocalJWKSet(jwks as never);
  const uri = jwksUri ?? (await discover(issuer, fetchJson));
  return createRemoteJWKSet(new URL(uri), { timeoutDuration: fetchMs });
}

/** OpenID Connect Discovery 1.0, section 4: whose document names another issuer is not believed. */
async function discover(issuer: string, fetchJson: typeof fetchJsonOf): Promise<string> {
  const found = await fetchJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
  if (found.issuer !== issuer || typeof found.jwks_uri !== 'string') throw new Error('the issuer cannot be discovered');
  return found.jwks_uri;
}

async function fetchJsonOf(url: string): Promise<{ readonly issuer?: unknown; readonly jwks_uri?: unknown }> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(fetchMs), redirect: 'error' });
  if (!answer.ok) throw new Error(`the issuer answered ${answer.status}`);
  return (await answer.json()) as { readonly issuer?: unknown; readonly jwks_uri?: unknown };
}
