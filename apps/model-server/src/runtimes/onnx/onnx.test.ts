import { readFileSync } from 'node:fs';
import { dataTypes, decodeV1Request, encodeV1Response, layoutOf, type Tensor } from '@roundhouse/v2-protocol';
import { afterAll, describe, expect, it } from 'vitest';
import { expectClose } from '../../testing/close.ts';
import { fixturesOf } from '../../testing/fixtures.ts';
import { workerUrl } from '../../testing/open-repository.ts';
import { startThread, type Thread } from '../../threads/thread.ts';
import { createHosts } from './hosts.ts';
import { type OnnxSession, openOnnxSession } from './session.ts';

const pathOf = (name: string) => fixturesOf('onnx').find((fixture) => fixture.name === name)?.path ?? name;
const hosts = createHosts(() => startThread(workerUrl), 1);
afterAll(() => hosts.close());

async function openElsewhere(path: string): Promise<OnnxSession> {
  const session = await hosts.open(path, false);
  return { ...session, run: async (...given) => (await session.run(...given)).outputs };
}

const places: [string, (path: string) => Promise<OnnxSession>][] = [
  ['on the spot', openOnnxSession],
  ['on another thread', openElsewhere],
];

describe.each(places)('an ONNX model %s', (_, open) => {
  it.each([
    ['numbered classes', 'map-of-numbers'],
    ['named classes', 'map-of-names'],
    ['numbers and text as inputs', 'mixed-inputs'],
  ])('answers as scikit-learn did: %s', async (_name, fixture) => {
    const path = pathOf(fixture);
    const { inputs, outputs } = JSON.parse(readFileSync(path.replace(/onnx$/, 'expected.json'), 'utf8'));
    const session = await open(path);
    const names = Object.keys(inputs);
    const instances = inputs[names[0] ?? ''].map((__: unknown, row: number) =>
      Object.fromEntries(names.map((name) => [name, inputs[name][row]])),
    );
    const tensors = decodeV1Request(Buffer.from(JSON.stringify({ instances })), session.inputs, undefined);
    const answers = await session.run(
      tensors,
      session.outputs.map(({ name }) => name),
    );
    const { predictions } = JSON.parse(encodeV1Response(answers));
    await session.close();

    for (const name of Object.keys(outputs))
      expectClose(
        predictions.map((row: Record<string, unknown>) => row[name]),
        outputs[name],
        1e-5,
      );
  });

  it('carries every type there and back', async () => {
    const session = await open(pathOf('types'));
    const types = dataTypes.filter((datatype) => datatype !== 'BF16');

    expect(new Set(session.inputs.map(({ datatype }) => datatype))).toEqual(new Set(types));

    // Made twice: what goes to another thread is gone here.
    const make = () => session.inputs.map((input): Tensor => ({ ...input, shape: [2, 2], data: sample(input) }));
    const outputs = await session.run(
      make(),
      session.outputs.map(({ name }) => name),
    );
    await session.close();

    expect(outputs).toEqual(make().map((input) => ({ ...input, name: input.name.replace('in_', 'out_') })));
  });

  it('names what is wrong with a request', async () => {
    const session = await open(pathOf('map-of-numbers'));
    const narrow: Tensor = { name: 'X', datatype: 'FP32', shape: [1, 1], data: Float32Array.of(1) };

    await expect(session.run([narrow], ['output_label'])).rejects.toMatchObject({ code: 'inference/invalid' });
    await session.close();
  });
});

describe('threads with sessions', () => {
  const threads: Thread[] = [];
  const few = createHosts(() => {
    const thread = startThread(workerUrl);
    threads.push(thread);
    return thread;
  }, 2);
  const path = pathOf('map-of-numbers');
  const input = (): Tensor => ({ name: 'X', datatype: 'FP32', shape: [1, 4], data: new Float32Array(4) });
  afterAll(() => few.close());

  it('share the models, but for those that are alone, whose thread ends with them', async () => {
    const shared = await Promise.all(Array.from({ length: 6 }, () => few.open(path, false)));
    const alone = await few.open(path, true);

    expect(threads).toHaveLength(3);

    await alone.close();

    expect(threads.map(({ hasEnded }) => hasEnded)).toEqual([false, false, true]);
    for (const session of shared) await session.close();
  });

  it('open a model again when their thread has ended', async () => {
    const session = await few.open(path, false);
    await Promise.all(threads.map((thread) => thread.close()));
    const answers = await Promise.all([1, 2, 3].map(() => session.run([input()], ['output_label'])));

    expect(answers.map(({ outputs }) => outputs[0]?.shape)).toEqual([[1], [1], [1]]);
    await session.close();
  });

  it('say why a file cannot be opened, and go on', async () => {
    await expect(few.open('/dev/null', true)).rejects.toMatchObject({ code: 'model/invalid' });
    await expect(few.open(path, true)).resolves.toMatchObject({ inputs: [{ name: 'X' }] });
  });
});

function sample({ datatype }: { readonly datatype: Tensor['datatype'] }): Tensor['data'] {
  const { kind, create, max } = layoutOf(datatype);
  if (kind === 'bytes') return ['a', '', 'ü', 'dd'].map((text) => new TextEncoder().encode(text));
  const values = create(4) as Float64Array;
  values.set((kind === 'big-integer' ? [0n, 1n, max, max - 1n] : [0, 1, 1, 0]) as number[]);
  return values;
}
