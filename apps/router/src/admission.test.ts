import type { Exchange } from '@roundhouse/http-relay';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createAdmission } from './admission.ts';
import { type Model, Seat, type Service, type ServiceLimits } from './service.ts';

const none = Number.POSITIVE_INFINITY;

function aService(limits: Partial<ServiceLimits>): Service {
  const own = { concurrency: none, modelConcurrency: none, queue: undefined, bodyBytes: none, timeoutMs: none };
  return {
    limits: { ...own, ...limits },
    load: { inFlight: 0, queued: 0, queues: new Set() },
    key: 'default/examples',
  } as unknown as Service;
}

function aModel(service: Service, name: string): Model {
  const model = { service, name } as Model;
  return Object.assign(model, { seat: new Seat(model) });
}

/** A request that asks to be let in again when it is resumed, as a relay's does. */
function aRequest(enter: (exchange: Exchange) => void) {
  const exchange = { tag: undefined, bodySizeMax: none, responseTimeoutMs: none } as unknown as Exchange;
  return Object.assign(exchange, { resume: () => enter(exchange) });
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('admission', () => {
  it('keeps every bound, loses nobody, and lets nobody wait for a free place', async () => {
    const limits = fc.record({
      concurrency: fc.integer({ min: 1, max: 4 }),
      modelConcurrency: fc.integer({ min: 1, max: 3 }),
      queue: fc.nat(5),
    });
    const steps = fc.array(
      fc.oneof(
        fc.record({ step: fc.constant('come' as const), model: fc.nat(2) }),
        fc.record({ step: fc.constantFrom('finish' as const, 'hang-up' as const), which: fc.nat() }),
      ),
      { maxLength: 60 },
    );
    await fc.assert(
      fc.asyncProperty(limits, steps, async (limits, steps) => {
        const admission = createAdmission(1_000);
        const service = aService(limits);
        const models = ['a', 'b', 'c'].map((name) => aModel(service, name));
        const inside: Exchange[] = [];
        const waiting: { exchange: Exchange; model: Model }[] = [];
        for (const step of steps) {
          if (step.step === 'come') {
            const model = models[step.model]!;
            const exchange = aRequest((one) => {
              waiting.splice(
                waiting.findIndex(({ exchange }) => exchange === one),
                1,
              );
              inside.push(one);
            });
            const answer = admission.enter(model, exchange);
            if (answer === undefined) inside.push(exchange);
            else if (answer === 'parked') waiting.push({ exchange, model });
          } else if (step.step === 'finish' && inside.length > 0) {
            const [exchange] = inside.splice(step.which % inside.length, 1);
            admission.leave(exchange!.tag as Seat);
          } else if (step.step === 'hang-up' && waiting.length > 0) {
            const [gone] = waiting.splice(step.which % waiting.length, 1);
            admission.forget(gone!.model, gone!.exchange);
          }
          await turn();
          const perModel = models.map((model) => inside.filter(({ tag }) => (tag as Seat).model === model).length);
          expect(inside.length).toBeLessThanOrEqual(limits.concurrency);
          expect(Math.max(...perModel)).toBeLessThanOrEqual(limits.modelConcurrency);
          expect(waiting.length).toBeLessThanOrEqual(limits.queue);
          expect([admission.inFlight, admission.queued]).toEqual([inside.length, waiting.length]);
          const hasRoom = ({ model }: { model: Model }) =>
            inside.length < limits.concurrency && perModel[models.indexOf(model)]! < limits.modelConcurrency;
          expect(waiting.filter(hasRoom)).toEqual([]);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('gives models turns, whoever of them asks more', async () => {
    const admission = createAdmission(1_000);
    const service = aService({ concurrency: 1, queue: 100 });
    const [busy, quiet] = [aModel(service, 'busy'), aModel(service, 'quiet')];
    const order: string[] = [];
    const come = (model: Model) => {
      const exchange = aRequest((one) => {
        order.push(model.name);
        setImmediate(() => admission.leave(one.tag as Seat));
      });
      if (admission.enter(model, exchange) === undefined) return exchange;
      return undefined;
    };
    const first = come(busy)!;
    for (let n = 0; n < 50; n++) come(busy);
    for (let n = 0; n < 3; n++) come(quiet);

    admission.leave(first.tag as Seat);
    while (admission.queued > 0) await turn();

    expect(order.slice(0, 6)).toEqual(['busy', 'quiet', 'busy', 'quiet', 'busy', 'quiet']);
  });
});
