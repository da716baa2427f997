import type { MessageInitShape } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import { messageOf } from '@roundhouse/base';
import type { Peer } from './admission.ts';
import { chunksOf } from './chunks.ts';
import type {
  AgentHello,
  AgentMessage,
  AssignedModelSchema,
  ControllerMessageSchema,
  Heartbeat,
  ModelReport,
  Report,
} from './gen/control_pb.js';
import { createStateReceiver, createStateSender } from './state-stream.ts';

/** A model as the controller assigns it: what is left out is empty or zero. */
export type AssignedModelFields = Omit<MessageInitShape<typeof AssignedModelSchema>, '$typeName'> & {
  readonly name: string;
};

export type ReportChange = {
  /** The first report, or one that replaces all that was said before. */
  readonly full: boolean;
  readonly changed: readonly ModelReport[];
  readonly gone: readonly string[];
};

/** One connected agent, as the controller sees it. */
export type AgentSession = {
  readonly hello: AgentHello;
  /** What the agent said last about each model; live. */
  readonly reports: ReadonlyMap<string, ModelReport>;
  /** The full report has arrived. Until then `reports` says nothing about what is missing in it. */
  readonly reported: boolean;
  /** Changes the assignment. Changes of one turn of the event loop travel together. */
  assign(changed: readonly AssignedModelFields[], removed: readonly string[]): void;
  /** Makes this the assignment; only differences (by digest) travel. */
  replaceAssignment(all: readonly AssignedModelFields[]): void;
  /** The agent has taken note of every assignment made so far. */
  readonly acknowledged: boolean;
  onReport(listener: (change: ReportChange) => void): void;
  onHeartbeat(listener: (heartbeat: Heartbeat) => void): void;
  /** Called once, with the reason. */
  onClose(listener: (reason: string) => void): void;
  close(reason: string): void;
};

export type AgentBody = NonNullable<MessageInitShape<typeof ControllerMessageSchema>['body']>;

export function createAgentSession(hello: AgentHello, peer: Peer<AgentMessage, AgentBody>): AgentSession {
  const reports = new Map<string, ModelReport>();
  const assigned = new Map<string, AssignedModelFields>();
  const pending = new Set<string>();
  const onReport: ((change: ReportChange) => void)[] = [];
  const onHeartbeat: ((heartbeat: Heartbeat) => void)[] = [];
  let reported = false;
  let flushing = false;
  let started = false; // nothing is sent before the controller has said what it wants for the first time
  let changes = 0;

  const sender = createStateSender<{ models: AssignedModelFields[]; removed: string[] }>({
    write: (revision, part) => peer.write({ case: 'assignment', value: { revision, ...part } }),
    mark: () => changes,
    snapshot: () => {
      pending.clear();
      return chunksOf([...assigned.values()]).map((models) => ({ models, removed: [] }));
    },
    delta: () => {
      const names = [...pending];
      pending.clear();
      const models = names.flatMap((name) => assigned.get(name) ?? []);
      const removed = names.filter((name) => !assigned.has(name));
      return [
        ...(models.length > 0 ? chunksOf(models).map((part) => ({ models: part, removed: [] })) : []),
        ...(removed.length > 0 ? chunksOf(removed).map((part) => ({ models: [], removed: part })) : []),
      ];
    },
  });

  const receiver = createStateReceiver<Report>({
    apply(parts, snapshot) {
      const change = applyReport(reports, parts, snapshot);
      reported = true;
      for (const listener of onReport) listener(change);
    },
    acknowledge: (revision) => void peer.write({ case: 'acknowledge', value: { revision } }),
    resync: (reason) => void peer.write({ case: 'resync', value: { reason } }),
  });

  const flush = () => {
    started = true;
    changes++;
    if (flushing) return;
    flushing = true;
    setImmediate(() => {
      flushing = false;
      sender.pump();
    });
  };

  const receive = ({ body }: AgentMessage) => {
    switch (body.case) {
      case 'report':
        return receiver.receive(body.value.revision, body.value);
      case 'heartbeat':
        return onHeartbeat.forEach((listener) => {
          listener(body.value);
        });
      case 'token':
        return peer.renew(body.value.token);
      case 'acknowledge':
        return sender.acknowledge(body.value.revision);
      case 'resync':
        return sender.restart();
      case 'hello':
        return peer.close(status.INVALID_ARGUMENT, 'a second hello');
      case undefined: // of a newer minor version
    }
  };

  peer.onMessage((message) => {
    try {
      receive(message);
    } catch (error) {
      peer.close(status.INTERNAL, messageOf(error));
    }
  });
  peer.onDrain(() => started && sender.drained());

  return {
    hello,
    reports,
    get reported() {
      return reported;
    },
    assign(changed, removed) {
      for (const model of changed) {
        assigned.set(model.name, model);
        pending.add(model.name);
      }
      for (const name of removed) if (assigned.delete(name)) pending.add(name);
      flush();
    },
    replaceAssignment(all) {
      const wanted = new Set(all.map(({ name }) => name));
      for (const model of all) {
        if (assigned.get(model.name)?.digest !== model.digest) pending.add(model.name);
        assigned.set(model.name, model);
      }
      for (const name of assigned.keys()) if (!wanted.has(name) && assigned.delete(name)) pending.add(name);
      flush();
    },
    get acknowledged() {
      return started && sender.acknowledgedMark === changes;
    },
    onReport: (listener) => void onReport.push(listener),
    onHeartbeat: (listener) => void onHeartbeat.push(listener),
    onClose: (listener) => peer.onClose(listener),
    close: (reason) => peer.close(status.UNAVAILABLE, reason),
  };
}

function applyReport(reports: Map<string, ModelReport>, parts: readonly Report[], snapshot: boolean): ReportChange {
  const changed = parts.flatMap(({ models }) => models);
  const listed = new Set(changed.map(({ name }) => name));
  const leaving = snapshot ? [...reports.keys()].filter((name) => !listed.has(name)) : parts.flatMap((p) => p.gone);
  for (const model of changed) reports.set(model.name, model);
  return { full: snapshot, changed, gone: leaving.filter((name) => reports.delete(name)) };
}
