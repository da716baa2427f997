import { timestamp } from '@roundhouse/base';
import type { KubeObject } from './api.ts';
import type { LocalApi } from './create-api.ts';
import { asJson, asList, type Json } from './json.ts';
import type { Kind } from './kinds.ts';
import { notFound } from './status.ts';
import { apiAudience, claimsOf, type User } from './tokens.ts';

/** Answers a review. All access is allowed: RBAC objects are stored and not enforced. */
export function review(api: LocalApi, { kind }: Kind, object: Json, user: User): Json {
  const metadata = { creationTimestamp: null, ...asJson(object.metadata) };
  return { ...object, metadata, status: statusFor(api, kind, asJson(object.spec), user) };
}

function statusFor(api: LocalApi, kind: string, spec: Json, user: User): Json {
  if (kind === 'TokenReview') return tokenStatus(api, spec);
  if (kind === 'SelfSubjectReview') return { userInfo: user };
  if (kind !== 'SelfSubjectRulesReview') return { allowed: true, reason: 'the local cluster allows everything' };
  const verbs = ['*'];
  const resourceRules = [{ verbs, apiGroups: ['*'], resources: ['*'] }];
  return { resourceRules, nonResourceRules: [{ verbs, nonResourceURLs: ['*'] }], incomplete: false };
}

function tokenStatus(api: LocalApi, spec: Json): Json {
  const identity = api.tokens.identify(String(spec.token ?? ''));
  if (typeof identity === 'string') return { authenticated: false, user: {}, error: identity };
  const named = asList(spec.audiences).map(String);
  const asked = named.length > 0 ? named : [apiAudience];
  const audiences = asked.filter((audience) => identity.audiences.includes(audience));
  if (audiences.length > 0) return { authenticated: true, user: identity.user, audiences };
  const [had, wanted] = [identity.audiences, asked].map((list) => JSON.stringify(list));
  const error = `token audiences ${had} is invalid for the target audiences ${wanted}`;
  return { authenticated: false, user: {}, error };
}

/** Without bounds a token would outlive every Pod; an hour is Kubernetes' default. */
const expirationSecondsDefault = 3600;
const expirationSecondsMin = 600;

/** Answers POST serviceaccounts/<name>/token. */
export function requestToken(api: LocalApi, kind: Kind, { metadata }: KubeObject, request: Json): Json {
  const spec = asJson(request.spec);
  const { namespace = '', name } = metadata;
  const bound = asJson(spec.boundObjectRef);
  const pod = bound.kind === 'Pod' ? api.rest.store.get('/pods', namespace, String(bound.name)) : undefined;
  if (bound.kind === 'Pod' && (!pod || (bound.uid !== undefined && pod.metadata.uid !== bound.uid))) {
    throw notFound({ ...kind, resource: 'pods' }, String(bound.name));
  }
  const expirationSeconds = Math.max(expirationSecondsMin, Number(spec.expirationSeconds ?? expirationSecondsDefault));
  const token = api.tokens.issue({
    namespace,
    serviceAccount: name,
    audiences: asList(spec.audiences).map(String),
    expirationSeconds,
    ...(pod && { pod: { name: pod.metadata.name, uid: pod.metadata.uid ?? '' } }),
  });
  const { iat, exp, aud } = claimsOf(token);
  return {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { name, namespace, creationTimestamp: timestamp(Number(iat) * 1000) },
    spec: { ...spec, audiences: aud, expirationSeconds },
    status: { token, expirationTimestamp: timestamp(Number(exp) * 1000) },
  };
}
