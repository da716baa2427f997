import { systemClock } from '@roundhouse/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Dialect } from './dialect.ts';
import { type ModelServer, openModelServer } from './model-server.ts';

export type Subject = {
  readonly port: number;
  /** A model that the server can load, not loaded at first. */
  readonly good: string;
  /** One that it refuses to load. */
  readonly bad: string;
  close(): Promise<void>;
};

/** What the agent relies on, asked of any server that speaks `dialect`: the fake, the embedded one, the real ones. */
export function describeModelServer(dialect: Dialect, start: () => Promise<Subject>) {
  describe(`a server of dialect ${dialect.name}`, () => {
    let subject: Subject;
    let server: ModelServer;
    const signal = AbortSignal.timeout(60_000);
    const isListed = async (model: string) =>
      (await server.list([model], signal)).some(({ name, ready }) => name === model && ready);

    beforeAll(async () => {
      subject = await start();
      server = openModelServer({ clock: systemClock }, dialect, { port: subject.port });
    });
    afterAll(async () => {
      await server.close();
      await subject.close();
    });

    it('is live', async () => {
      expect(await server.isLive(signal)).toBe(true);
    });

    it('answers for a model from the load on, and not after the unload', async () => {
      expect(await isListed(subject.good)).toBe(false);

      await server.load(subject.good, signal);

      expect([await isListed(subject.good), await server.isReady(subject.good, signal)]).toEqual([true, true]);

      await server.unload(subject.good, signal);

      expect([await isListed(subject.good), await server.isReady(subject.good, signal)]).toEqual([false, false]);
    });

    it('loads a loaded model again', async () => {
      await server.load(subject.good, signal);
      await server.load(subject.good, signal);

      expect(await isListed(subject.good)).toBe(true);
    });

    it('counts the unload of a model that is not there as done', async () => {
      await expect(server.unload('never-was', signal)).resolves.toBeUndefined();
    });

    it('says why it refuses a model, and does not have it then', async () => {
      await expect(server.load(subject.bad, signal)).rejects.toMatchObject({ code: 'server/rejected' });

      expect(await isListed(subject.bad)).toBe(false);
    });
  });
}
