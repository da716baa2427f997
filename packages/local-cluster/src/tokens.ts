import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import type { Clock } from '@roundhouse/base';
import type { TokenIssuer } from './api.ts';
import { asJson, asList, type Json } from './json.ts';
import type { Store } from './store.ts';

/** Whoever asks, as TokenReview names users. */
export type User = {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
};

export type Identity = { readonly user: User; readonly audiences: readonly string[] };

export type Tokens = TokenIssuer & {
  /** Whose token it is; an error's text when it is nobody's (any more). */
  identify(token: string): Identity | string;
};

/** The audience of the API itself, which tokens get when they name none. */
export const apiAudience = 'https://kubernetes.default.svc.cluster.local';

/** Tokens are signed JSON Web Tokens with Kubernetes' claims; the key stays in the store. */
export function createTokens({ store, clock }: { readonly store: Store; readonly clock: Clock }): Tokens {
  const key = store.setting('token-key', randomBytes(32).toString('base64'));
  const sign = (text: string) => createHmac('sha256', Buffer.from(key, 'base64')).update(text).digest();
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

  return {
    issue({ namespace, serviceAccount: name, audiences, expirationSeconds, pod }) {
      const nowSeconds = Math.floor(clock.now() / 1000);
      const uid = store.get('/serviceaccounts', namespace, name)?.metadata.uid ?? '';
      const claims = {
        aud: audiences.length > 0 ? audiences : [apiAudience],
        exp: nowSeconds + expirationSeconds,
        iat: nowSeconds,
        iss: apiAudience,
        jti: randomUUID(),
        'kubernetes.io': { namespace, ...(pod && { pod }), serviceaccount: { name, uid } },
        nbf: nowSeconds,
        sub: `system:serviceaccount:${namespace}:${name}`,
      };
      const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
      return `${text}.${sign(text).toString('base64url')}`;
    },

    identify(token) {
      const [header = '', body = '', signature = ''] = token.split('.');
      const given = Buffer.from(signature, 'base64url');
      const wanted = sign(`${header}.${body}`);
      if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return 'invalid bearer token';
      const claims = claimsOf(token);
      if (Number(claims.exp) * 1000 <= clock.now()) return 'service account token has expired';
      return identityOf(claims, store);
    },
  };
}

/** What a token says, unchecked. */
export function claimsOf(token: string): Json {
  return asJson(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()));
}

function identityOf(claims: Json, store: Store): Identity | string {
  const { namespace, serviceaccount, pod } = asJson(claims['kubernetes.io']);
  const isThere = (key: string, { name, uid }: Json) =>
    store.get(key, String(namespace), String(name))?.metadata.uid === uid;
  if (!isThere('/serviceaccounts', asJson(serviceaccount))) return 'service account has been deleted';
  if (pod !== undefined && !isThere('/pods', asJson(pod))) return 'pod has been deleted';
  const user = {
    username: String(claims.sub),
    uid: String(asJson(serviceaccount).uid),
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
    extra: {
      'authentication.kubernetes.io/credential-id': [`JTI=${claims.jti}`],
      ...(pod !== undefined && {
        'authentication.kubernetes.io/pod-name': [String(asJson(pod).name)],
        'authentication.kubernetes.io/pod-uid': [String(asJson(pod).uid)],
      }),
    },
  };
  return { user, audiences: asList(claims.aud).map(String) };
}
