import { timestamp } from '@roundhouse/base';
import { type Condition, type ContainerStatus, type Pod, type PodStatus, withTransitions } from '../workloads/kinds.ts';
import { podIp } from './environment.ts';

export type PodFacts = {
  readonly pod: Pod;
  /** Why the pod's containers cannot be started yet: its ports or volumes are not there. */
  readonly problem: { readonly reason: string; readonly message: string } | undefined;
  /** The ports are known, so that Services can lead to the pod. */
  readonly prepared: boolean;
  readonly initialized: boolean;
  readonly initContainers: readonly ContainerStatus[];
  readonly containers: readonly ContainerStatus[];
  /** Set when no container will run again. */
  readonly outcome: 'Succeeded' | 'Failed' | undefined;
  readonly nowMs: number;
};

/** The status as a kubelet would report it. */
export function podStatusFor(facts: PodFacts): PodStatus {
  const { pod, problem, prepared, initialized, initContainers, containers, outcome, nowMs } = facts;
  const now = timestamp(nowMs);
  const sidecars = initContainers.filter(({ name }) =>
    pod.spec.initContainers?.some((container) => container.name === name && container.restartPolicy === 'Always'),
  );
  const waiting = [...sidecars, ...containers].filter(({ ready }) => !ready).map(({ name }) => name);
  const ready: Pick<Condition, 'status' | 'reason' | 'message'> =
    waiting.length === 0 && initialized
      ? { status: 'True' }
      : outcome === 'Succeeded'
        ? { status: 'False', reason: 'PodCompleted' }
        : {
            status: 'False',
            reason: 'ContainersNotReady',
            message: `containers with unready status: [${waiting.join(' ')}]`,
          };
  const conditions: Condition[] = [
    { type: 'PodScheduled', status: 'True' },
    { type: 'PodReadyToStartContainers', status: prepared ? 'True' : 'False', ...problem },
    initialized
      ? { type: 'Initialized', status: 'True' }
      : {
          type: 'Initialized',
          status: 'False',
          reason: 'ContainersNotInitialized',
          message: 'init containers have not ended',
        },
    { type: 'ContainersReady', ...ready },
    { type: 'Ready', ...ready },
  ];
  const running = containers.some(({ state, restartCount }) => state.running !== undefined || restartCount > 0);
  const addresses = {
    hostIP: podIp,
    hostIPs: [{ ip: podIp }],
    ...(prepared && { podIP: podIp, podIPs: [{ ip: podIp }] }),
  };
  return {
    phase: outcome ?? (running ? 'Running' : 'Pending'),
    conditions: withTransitions(pod.status?.conditions, conditions, now),
    ...addresses,
    startTime: pod.status?.startTime ?? now,
    ...(initContainers.length > 0 && { initContainerStatuses: initContainers }),
    containerStatuses: containers,
  };
}
