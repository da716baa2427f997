import { type Names, namesFor } from '@roundhouse/crds';
import { certificateNeeds } from './certificates.ts';
import { resources } from './cluster.ts';
import { serviceNeeds } from './inference-service/needs.ts';
import { follow, type Need, served } from './need.ts';
import { modelNeeds } from './trained-model/needs.ts';

/** Everything that the controller asks of the API server; the RBAC rules are made of this list. */
export function controllerNeeds(names: Names = namesFor()): readonly Need[] {
  return [
    ...serviceNeeds(names),
    ...modelNeeds(names),
    served(
      resources.configMaps,
      [...follow, 'get', 'create', 'patch', 'delete'],
      'the models of a service, for its agents',
    ),
    served({ group: '', resource: 'events' }, ['create', 'patch'], 'what happened to services and models'),
    ...exposureNeeds,
    ...doorNeeds,
    ...certificateNeeds,
    ...leaseNeeds,
  ];
}

/** The settings for all services, and the one object by which requests come in that they ask for. */
const exposed = { scope: 'own', verbs: ['get', 'create', 'update', 'delete'] } as const;
const exposureNeeds: readonly Need[] = [
  { scope: 'own', group: '', resource: 'configmaps', verbs: follow, why: 'the settings for all services' },
  { ...exposed, group: resources.ingresses.group, resource: 'ingresses', why: 'the way in, as the settings ask' },
  { ...exposed, group: resources.httpRoutes.group, resource: 'httproutes', why: 'the way in, as the settings ask' },
];

/** Who may connect to the control stream: whose token it is, and to which Deployment its pod belongs. */
const doorNeeds: readonly Need[] = [
  {
    scope: 'cluster',
    group: 'authentication.k8s.io',
    resource: 'tokenreviews',
    verbs: ['create'],
    why: 'whose token an agent or router shows',
  },
  served(resources.pods, ['get'], 'whether an agent’s pod is there'),
  served(resources.replicaSets, ['get'], 'to which Deployment an agent’s pod belongs'),
];

const lease = { scope: 'own', group: 'coordination.k8s.io', resource: 'leases' } as const;
const leaseNeeds: readonly Need[] = [
  { ...lease, verbs: ['create'], why: 'which controller leads' },
  { ...lease, verbs: ['get', 'update'], names: ['roundhouse-controller'], why: 'which controller leads' },
];
