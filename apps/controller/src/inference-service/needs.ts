import type { Names } from '@roundhouse/crds';
import { resources } from '../cluster.ts';
import { follow, type Need, served, type Verb } from '../need.ts';

const kept: readonly Verb[] = ['get', 'create', 'update', 'delete'];

/** What services, their Deployments and their Services take. */
export function serviceNeeds(names: Names): readonly Need[] {
  const { group, resource } = names.clusterServingRuntimes;
  return [
    served(names.inferenceServices, follow, 'the services to serve'),
    served(names.inferenceServices, ['patch'], 'says how a service does', 'status'),
    // Some clusters let only those who may change an owner's finalizers write references that block its deletion.
    served(names.inferenceServices, ['update'], 'owns what it makes for a service', 'finalizers'),
    served(names.servingRuntimes, follow, 'the runtimes of a namespace'),
    { scope: 'cluster', group, resource, verbs: follow, why: 'the runtimes of the cluster' },
    served(resources.deployments, [...follow, ...kept], 'the model servers of a service'),
    served(resources.services, [...follow, ...kept], 'the addresses of a service'),
    served(resources.autoscalers, [...follow, ...kept], 'scales a service by CPU or memory'),
    served(resources.scaledObjects, kept, 'scales a service by KEDA, where that is asked for'),
    served(resources.budgets, [...follow, ...kept], 'how many replicas may be away'),
    served(resources.pods, follow, 'which replicas there are, and whether they are Ready'),
    served(resources.serviceAccounts, ['get'], 'which Secrets with storage credentials its pods mount'),
  ];
}
