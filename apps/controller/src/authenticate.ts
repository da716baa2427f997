import { CodedError } from '@roundhouse/base';
import type { Names } from '@roundhouse/crds';
import { type Cluster, type Installation, resources, type Stored } from './cluster.ts';

/** What a TokenReview found out. */
export type Reviewed = {
  readonly authenticated: boolean;
  readonly username: string;
  readonly podUid: string | undefined;
};

export type Deps = {
  readonly names: Names;
  readonly cluster: Cluster;
  readonly installation: Installation;
  readonly serviceUid: (namespace: string, service: string) => string | undefined;
  readonly review: (token: string, audience: string, signal: AbortSignal) => Promise<Reviewed>;
};

/** The audience of agents' and routers' tokens. It is no privilege: whoever can make a Pod can ask for it. */
export const audience = 'roundhouse-control';

/** Who says to be an agent. */
export type AgentClaim = {
  readonly namespace: string;
  readonly service: string;
  readonly podName: string;
  readonly podUid: string;
};

/** An agent is one when its pod, by uid, belongs to the Deployment of the service that it names. */
export async function authenticateAgent(
  deps: Deps,
  token: string,
  claim: AgentClaim,
  signal: AbortSignal,
): Promise<void> {
  const { names, cluster, review, serviceUid } = deps;
  const { namespace, service, podName, podUid } = claim;
  const { authenticated, username, podUid: tokenPod } = await review(token, audience, signal);
  if (!authenticated) throw refused(`the token is not valid for audience ${audience}`);
  if (!username.startsWith(`system:serviceaccount:${namespace}:`))
    throw refused(`the token is not of namespace ${namespace}`);
  if (tokenPod !== podUid) throw refused(`the token is not of pod ${podName}`);

  const pod = await cluster.get(resources.pods, namespace, podName, signal);
  if (pod?.metadata.uid !== podUid) throw refused(`there is no pod ${podName} of that uid`);
  const replicaSet = await controllerOf(cluster, pod, resources.replicaSets, signal);
  const deployment = replicaSet && (await controllerOf(cluster, replicaSet, resources.deployments, signal));
  const owner = deployment && ownerOf(deployment, names.inferenceServices.kind);
  const isOurs = deployment?.metadata.name === names.predictor(service) && owner?.name === service;
  if (!isOurs || owner?.uid !== serviceUid(namespace, service)) {
    throw refused(`pod ${podName} does not belong to InferenceService ${namespace}/${service}`);
  }
}

/** A router is whoever has the router's ServiceAccount. */
export async function authenticateRouter(
  { review, installation }: Deps,
  token: string,
  signal: AbortSignal,
): Promise<void> {
  const routerAccount = `system:serviceaccount:${installation.namespace}:roundhouse-router`;
  const { authenticated, username } = await review(token, audience, signal);
  if (!authenticated || username !== routerAccount)
    throw refused(`routers need a token of ${routerAccount} for ${audience}`);
}

type Kind = (typeof resources)['replicaSets' | 'deployments'];

async function controllerOf(cluster: Cluster, object: Stored, resource: Kind, signal: AbortSignal) {
  const owner = ownerOf(object, resource.kind);
  if (owner === undefined) return undefined;
  const found = await cluster.get(resource, object.metadata.namespace, owner.name, signal);
  return found?.metadata.uid === owner.uid ? found : undefined;
}

function ownerOf({ metadata }: Stored, kind: string) {
  return metadata.ownerReferences?.find((owner) => owner.controller === true && owner.kind === kind);
}

function refused(message: string): CodedError {
  return new CodedError('controller/refused', message);
}
