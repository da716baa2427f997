import type { KubeObject } from './api.ts';
import type { LocalApi } from './create-api.ts';
import { asJson, asList, type Json } from './json.ts';
import type { Kind } from './kinds.ts';
import { notFound } from './status.ts';
import { apiAudience } from './tokens.ts';

/** Whoever asks, as TokenReview names users. */
export type User = {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: unknown;
};

/** Answers a review. All access is allowed: RBAC objects are stored and not enforced. */
export function review(api: LocalApi, kind: Kind, object: Json, user: User): Json {
  const spec = asJson(object.spec);
  const answer = { ...object, metadata: { creationTimestamp: null, ...asJson(object.metadata) } };
  switch (kind.kind) {
    case 'TokenReview':
      return { ...answer, status: tokenStatus(api, spec) };
    case 'SelfSubjectReview':
      return { ...answer, status: { userInfo: user } };
    case 'SelfSubjectRulesReview': {
      const all = ['*'];
      return {
        ...answer,
        status: {
          resourceRules: [{ verbs: all, apiGroups: all, resources: all }],
          nonResourceRules: [{ verbs: all, nonResourceURLs: all }],
          incomplete: false,
        },
      };
    }
    default:
      return { ...answer, status: { allowed: true, reason: 'the local cluster allows everything' } };
  }
}

function tokenStatus(api: LocalApi, spec: Json): Json {
  const identity = api.tokens.identify(String(spec.token ?? ''));
  if (typeof identity === 'string') return { authenticated: false, user: {}, error: identity };
  const { audiences, ...user } = identity;
  const asked = asList(spec.audiences).map(String);
  const shared = (asked.length > 0 ? asked : [apiAudience]).filter((audience) => audiences.includes(audience));
  if (shared.length === 0) {
    const error = `token audiences ${JSON.stringify(audiences)} is invalid for the target audiences ${JSON.stringify(asked)}`;
    return { authenticated: false, user: {}, error };
  }
  return { authenticated: true, user, audiences: shared };
}

/** Without bounds a token would outlive every Pod; an hour is Kubernetes' default. */
const expirationSecondsDefault = 3600;
const expirationSecondsMin = 600;

/** Answers POST serviceaccounts/<name>/token. */
export function requestToken(api: LocalApi, kind: Kind, account: KubeObject, request: Json): Json {
  const spec = asJson(request.spec);
  const { namespace = '', name } = account.metadata;
  const expirationSeconds = Math.max(expirationSecondsMin, Number(spec.expirationSeconds ?? expirationSecondsDefault));
  const bound = asJson(spec.boundObjectRef);
  const pod = bound.kind === 'Pod' ? api.rest.store.get('/pods', namespace, String(bound.name)) : undefined;
  if (bound.kind === 'Pod' && (!pod || (bound.uid !== undefined && pod.metadata.uid !== bound.uid))) {
    throw notFound({ ...kind, resource: 'pods' }, String(bound.name));
  }
  const audiences = asList(spec.audiences).map(String);
  const token = api.tokens.issue({
    namespace,
    serviceAccount: name,
    audiences,
    expirationSeconds,
    ...(pod && { pod: { name: pod.metadata.name, uid: pod.metadata.uid ?? '' } }),
  });
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  return {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { name, namespace, creationTimestamp: new Date(claims.iat * 1000).toISOString().replace('.000', '') },
    spec: { ...spec, audiences: claims.aud, expirationSeconds },
    status: { token, expirationTimestamp: new Date(claims.exp * 1000).toISOString().replace('.000', '') },
  };
}
