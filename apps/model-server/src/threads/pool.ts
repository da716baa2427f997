import type { Clock } from '@roundhouse/base';
import type { Thread } from './thread.ts';

/** Threads for work that belongs to no thread in particular. */
export type Pool = {
  readonly ask: Thread['ask'];
  close(): Promise<void>;
};

/** A thread takes some 10 MB; starting one takes about 40 ms. */
const idleMsMax = 30_000;

type Member = { readonly thread: Thread; busy: boolean; cancelEnd: () => void };

/** Threads start when they are needed, up to `threadsMax`, each does one task at a time, and those that stay idle end. */
export function createPool(clock: Clock, start: () => Thread, threadsMax: number): Pool {
  const members = new Set<Member>();
  const queue: ((member: Member) => void)[] = [];

  const admit = (): Member | undefined => {
    for (const member of members) {
      if (member.thread.hasEnded) members.delete(member);
      else if (!member.busy) return member;
    }
    if (members.size >= threadsMax) return undefined;
    const member: Member = { thread: start(), busy: false, cancelEnd: () => {} };
    members.add(member);
    return member;
  };

  const take = async (): Promise<Member> => {
    const free = admit();
    const member = free ?? (await new Promise<Member>((resolve) => queue.push(resolve)));
    member.busy = true;
    member.cancelEnd();
    return member;
  };

  const give = (member: Member) => {
    member.busy = false;
    const next = queue.shift();
    if (next !== undefined) {
      const free = admit() ?? member;
      free.busy = true;
      return next(free);
    }
    member.cancelEnd = clock.after(idleMsMax, () => {
      members.delete(member);
      void member.thread.close();
    });
  };

  return {
    async ask(name, ...given) {
      const member = await take();
      try {
        // The compiler does not see that a task's result is what the task gives.
        return (await (member.thread.ask(name, ...given) as Promise<unknown>)) as never;
      } finally {
        give(member);
      }
    },
    async close() {
      await Promise.all([...members].map(({ thread }) => thread.close()));
    },
  };
}
