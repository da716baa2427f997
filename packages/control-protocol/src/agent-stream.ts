import type { MessageInitShape } from '@bufbuild/protobuf';
import { chunksOf } from './chunks.ts';
import { attachMethod } from './codec.ts';
import { type Connection, type Deps, keepStream } from './connection.ts';
import type {
  AgentHelloSchema,
  AgentMessageSchema,
  AssignedModel,
  Assignment,
  ControllerMessage,
  ModelReportSchema,
} from './gen/control_pb.js';
import { createStateReceiver, createStateSender, type StateSender } from './state-stream.ts';

/** What an agent says about itself; minor and epoch are added. */
export type AgentHelloFields = Omit<MessageInitShape<typeof AgentHelloSchema>, '$typeName' | 'minor' | 'epoch'>;

/** A report about one model, as the agent writes it: what is left out is empty or zero. */
export type ModelReportFields = Omit<MessageInitShape<typeof ModelReportSchema>, '$typeName'> & {
  readonly name: string;
};

export type AssignmentView = {
  /** All that is assigned now. Live: the next change is made in place. */
  readonly models: ReadonlyMap<string, AssignedModel>;
  /** Names that are new or have another digest than before. */
  readonly changed: readonly string[];
  readonly removed: readonly string[];
};

export type AgentStreamOptions = {
  readonly connection: Connection;
  /** Called at each connection. */
  hello(): AgentHelloFields;
  /** Called for each heartbeat: requests to models since it was called before, by those that had any. */
  traffic(): Iterable<ModelTraffic>;
  /** Called for each change, and once after each connection even if nothing changed meanwhile. */
  onAssignment(view: AssignmentView): void;
};

export type ModelTraffic = { readonly name: string; readonly requests: number; readonly errors: number };

export type AgentStream = {
  /** Sets the reports of these models, and forgets `gone`. All reports are kept here, and said again to a new controller. */
  report(models: readonly ModelReportFields[], gone: readonly string[]): void;
  /** Whether the model server answers; false until said otherwise. Sent at once when it changes. */
  serverReady(ready: boolean): void;
  /** The pod is going away: routers are to send nothing new. */
  draining(): void;
  /** Keeps the stream open until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
  readonly connected: boolean;
};

type Body = NonNullable<MessageInitShape<typeof AgentMessageSchema>['body']>;

/** Reports of one turn of work (a download's progress, a load) go together: nobody sees 5 ms. */
const coalesceMs = 5;

/** The agent's end of the control stream. */
export function attachAgent(deps: Deps, options: AgentStreamOptions): AgentStream {
  const { connection, hello, onAssignment } = options;
  const reports = new Map<string, ModelReportFields>();
  const pending = new Set<string>();
  const assigned = new Map<string, AssignedModel>();
  const state = { ready: false, draining: false };
  let flushing = false;
  let current: { readonly write: (body: Body) => boolean; readonly sender: StateSender } | undefined;
  let connected = false;

  const heartbeat = (): Body => {
    const traffic = Array.from(options.traffic(), ({ name, requests, errors }) => ({
      name,
      requests: BigInt(requests),
      errors: BigInt(errors),
    }));
    return { case: 'heartbeat', value: { traffic, serverReady: state.ready, draining: state.draining } };
  };

  const reportSender = (write: (body: Body) => boolean) =>
    createStateSender<{ models: ModelReportFields[]; gone: string[] }>({
      write: (revision, part) => write({ case: 'report', value: { revision, ...part } }),
      snapshot: () => {
        pending.clear();
        return chunksOf([...reports.values()]).map((models) => ({ models, gone: [] }));
      },
      delta: () => {
        const names = [...pending];
        pending.clear();
        if (names.length === 0) return [];
        const gone = names.filter((name) => !reports.has(name));
        const models = names.flatMap((name) => reports.get(name) ?? []);
        return [
          ...(models.length > 0 ? chunksOf(models).map((part) => ({ models: part, gone: [] })) : []),
          ...(gone.length > 0 ? chunksOf(gone).map((part) => ({ models: [], gone: part })) : []),
        ];
      },
    });

  const open = (write: (body: Body) => boolean) => {
    const sender = reportSender(write);
    const receiver = createStateReceiver<Assignment>({
      apply: (parts, snapshot) => onAssignment(applyAssignment(assigned, parts, snapshot)),
      acknowledge: (revision) => void write({ case: 'acknowledge', value: { revision } }),
      resync: (reason) => void write({ case: 'resync', value: { reason } }),
    });
    return {
      welcomed() {
        connected = true;
        current = { write, sender };
        sender.pump();
      },
      receive({ body }: ControllerMessage) {
        switch (body.case) {
          case 'assignment':
            return receiver.receive(body.value.revision, body.value);
          case 'acknowledge':
            return sender.acknowledge(body.value.revision);
          case 'resync':
            return sender.restart();
          case 'welcome':
          case undefined: // of a newer minor version
        }
      },
      drained: () => sender.drained(),
      heartbeat,
      closed() {
        connected = false;
        current = undefined;
      },
    };
  };

  const flush = () => {
    if (flushing) return;
    flushing = true;
    deps.clock.after(coalesceMs, () => {
      flushing = false;
      current?.sender.pump();
    });
  };

  return {
    report(models, gone) {
      for (const model of models) {
        reports.set(model.name, model);
        pending.add(model.name);
      }
      for (const name of gone) {
        reports.delete(name);
        pending.add(name);
      }
      flush();
    },
    serverReady(ready) {
      if (ready === state.ready) return;
      state.ready = ready;
      current?.write(heartbeat());
    },
    draining() {
      state.draining = true;
      current?.write(heartbeat());
    },
    run: (signal) =>
      keepStream<Body, ControllerMessage>(
        deps,
        {
          connection,
          method: attachMethod,
          hello: (epoch) => ({ case: 'hello', value: { ...hello(), minor: 0, epoch } }),
          renewal: (token) => ({ case: 'token', value: { token } }),
          open,
        },
        signal,
      ),
    get connected() {
      return connected;
    },
  };
}

/** Brings `assigned` to what the messages say, and tells what that changed. */
function applyAssignment(
  assigned: Map<string, AssignedModel>,
  parts: readonly Assignment[],
  snapshot: boolean,
): AssignmentView {
  const changed: string[] = [];
  const removed: string[] = [];
  const listed = new Set<string>();
  for (const model of parts.flatMap(({ models }) => models)) {
    listed.add(model.name);
    if (assigned.get(model.name)?.digest !== model.digest) changed.push(model.name);
    assigned.set(model.name, model);
  }
  const leaving = snapshot ? [...assigned.keys()].filter((name) => !listed.has(name)) : parts.flatMap((p) => p.removed);
  for (const name of leaving) if (assigned.delete(name)) removed.push(name);
  return { models: assigned, changed, removed };
}
