import { timestamp } from '@roundhouse/base';
import type { ContainerStatus, PodCondition, PodStatus } from 'kubernetes-types/core/v1.js';
import { type Pod, withTransitions } from '../workloads/kinds.ts';
import { podIp } from './environment.ts';

/** Why a pod's containers cannot be started yet: its ports or volumes are not there. */
export type PodProblem = { readonly reason: string; readonly message: string };

/** The status as a kubelet would report it. A pod is prepared when its ports are known, so that Services can lead to it. */
export function podStatusFor(
  { status: before }: Pod,
  { isPrepared, problem }: { readonly isPrepared: boolean; readonly problem: PodProblem | undefined },
  containers: readonly ContainerStatus[],
  nowMs: number,
): PodStatus {
  const waiting = containers.filter(({ ready }) => !ready).map(({ name }) => name);
  const message = `containers with unready status: [${waiting.join(' ')}]`;
  const ready = waiting.length === 0 ? { status: 'True' } : { status: 'False', reason: 'ContainersNotReady', message };
  const prepared = { status: isPrepared ? 'True' : 'False', ...problem };
  const conditions: PodCondition[] = [
    { type: 'PodScheduled', status: 'True' },
    { type: 'PodReadyToStartContainers', ...prepared },
    { type: 'Initialized', status: 'True' },
    { type: 'ContainersReady', ...ready },
    { type: 'Ready', ...ready },
  ];
  const isRunning = containers.some(({ state, restartCount }) => state?.running !== undefined || restartCount > 0);
  const now = timestamp(nowMs);
  return {
    phase: isRunning ? 'Running' : 'Pending',
    conditions: withTransitions(before?.conditions, conditions, now),
    hostIP: podIp,
    ...(isPrepared && { podIP: podIp, podIPs: [{ ip: podIp }] }),
    startTime: before?.startTime ?? now,
    containerStatuses: [...containers],
  };
}
