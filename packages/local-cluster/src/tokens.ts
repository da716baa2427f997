import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import type { Clock } from '@roundhouse/base';
import type { TokenIssuer } from './api.ts';
import { asJson, asList, type Json } from './json.ts';
import type { Store } from './store.ts';

export type Identity = {
  readonly username: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
  readonly audiences: readonly string[];
};

export type Tokens = TokenIssuer & {
  /** Whose token it is; an error's text when it is nobody's (any more). */
  identify(token: string): Identity | string;
};

/** The audience of the API itself, which tokens get when they name none. */
export const apiAudience = 'https://kubernetes.default.svc.cluster.local';

/** Tokens are signed JSON Web Tokens with Kubernetes' claims; the key stays in the store. */
export function createTokens({ store, clock }: { readonly store: Store; readonly clock: Clock }): Tokens {
  const key = Buffer.from(
    store.setting('token-key', () => randomBytes(32).toString('base64')),
    'base64',
  );
  const sign = (text: string) => createHmac('sha256', key).update(text).digest();
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

  return {
    issue({ namespace, serviceAccount, audiences, expirationSeconds, pod }) {
      const nowSeconds = Math.floor(clock.now() / 1000);
      const account = store.get('/serviceaccounts', namespace, serviceAccount);
      const claims = {
        aud: audiences.length > 0 ? audiences : [apiAudience],
        exp: nowSeconds + expirationSeconds,
        iat: nowSeconds,
        iss: apiAudience,
        jti: randomUUID(),
        'kubernetes.io': {
          namespace,
          ...(pod && { pod }),
          serviceaccount: { name: serviceAccount, uid: account?.metadata.uid ?? '' },
        },
        nbf: nowSeconds,
        sub: `system:serviceaccount:${namespace}:${serviceAccount}`,
      };
      const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
      return `${text}.${sign(text).toString('base64url')}`;
    },

    identify(token) {
      const [header = '', body = '', signature = ''] = token.split('.');
      const given = Buffer.from(signature, 'base64url');
      const wanted = sign(`${header}.${body}`);
      if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return 'invalid bearer token';
      const claims = asJson(JSON.parse(Buffer.from(body, 'base64url').toString()));
      if (Number(claims.exp) * 1000 <= clock.now()) return 'service account token has expired';
      return identityOf(claims, store);
    },
  };
}

function identityOf(claims: Json, store: Store): Identity | string {
  const own = asJson(claims['kubernetes.io']);
  const namespace = String(own.namespace);
  const { name, uid } = asJson(own.serviceaccount);
  const account = store.get('/serviceaccounts', namespace, String(name));
  if (!account || account.metadata.uid !== uid) return 'service account has been deleted';
  const pod = asJson(own.pod);
  if (own.pod !== undefined && store.get('/pods', namespace, String(pod.name))?.metadata.uid !== pod.uid) {
    return 'pod has been deleted';
  }
  return {
    username: String(claims.sub),
    uid: String(uid),
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
    extra: {
      'authentication.kubernetes.io/credential-id': [`JTI=${claims.jti}`],
      ...(own.pod !== undefined && {
        'authentication.kubernetes.io/pod-name': [String(pod.name)],
        'authentication.kubernetes.io/pod-uid': [String(pod.uid)],
      }),
    },
    audiences: asList(claims.aud).map(String),
  };
}
