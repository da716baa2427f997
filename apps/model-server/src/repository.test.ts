import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@roundhouse/base';
import { silentLog } from '@roundhouse/telemetry';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createRepository, type Loaded } from './repository.ts';
import { createModelDirectory, examples, startTestServer, type TestServer } from './testing/model-directory.ts';

const directory = createModelDirectory();
let test: TestServer;

beforeAll(async () => {
  test = await startTestServer(directory.path);
});
beforeEach(async () => {
  await unload('m');
  directory.remove('m');
});
afterAll(async () => {
  await test.server.close();
  directory.remove();
});

const load = (model: string) => test.ask('POST', `/v2/repository/models/${model}/load`);
const unload = (model: string) => test.ask('POST', `/v2/repository/models/${model}/unload`, {});
const index = async () => (await test.ask('POST', '/v2/repository/index')).body;
const requestOf = (example: string) =>
  JSON.parse(readFileSync(join(examples, 'expected', `${example}.json`), 'utf8')).request.v2;
const infer = (example: string) => test.ask('POST', '/v2/models/m/infer', requestOf(example));

describe('the repository', () => {
  it('loads on request, and forgets on request', async () => {
    directory.copy('iris-lightgbm', 'model.txt', 'm/model.txt');

    expect(await index()).toEqual([]);
    expect(await load('m')).toMatchObject({ status: 200, body: { name: 'm', load: true } });
    expect(await index()).toEqual([{ name: 'm', version: '1', state: 'READY' }]);
    expect(await infer('iris-lightgbm')).toMatchObject({ status: 200 });
    expect(await unload('m')).toMatchObject({ status: 200, body: { name: 'm', unload: true } });
    expect(await infer('iris-lightgbm')).toMatchObject({ status: 404 });
    expect(await unload('m')).toMatchObject({ status: 200 });
    expect(await index()).toEqual([]);
  });

  it('takes the highest version folder', async () => {
    directory.copy('iris-lightgbm', 'model.txt', 'm/2/model.txt');
    directory.copy('iris-onnx', 'model.onnx', 'm/10/model.onnx');
    await load('m');

    expect(await index()).toEqual([{ name: 'm', version: '10', state: 'READY' }]);
  });

  it('keeps the old model when a reload fails', async () => {
    directory.copy('iris-lightgbm', 'model.txt', 'm/model.txt');
    await load('m');
    directory.write('m/model.txt', 'tree\nversion=v4\n');

    expect(await load('m')).toMatchObject({ status: 400, body: { error: expect.stringMatching(/cut off/) } });
    expect(await infer('iris-lightgbm')).toMatchObject({ status: 200 });
    expect(await index()).toEqual([{ name: 'm', version: '1', state: 'READY' }]);
  });

  it('changes a model in place without a failed request', async () => {
    directory.copy('diabetes-xgboost', 'model.json', 'm/model.json');
    await load('m');
    let reloading = true;
    const statuses = new Set<number>();
    const clients = Array.from({ length: 4 }, async () => {
      while (reloading) statuses.add((await infer('diabetes-xgboost')).status);
    });
    for (let round = 0; round < 20; round++) {
      const isOdd = round % 2 === 1;
      directory.remove('m');
      directory.copy(
        isOdd ? 'diabetes-xgboost' : 'diabetes-lightgbm',
        isOdd ? 'model.json' : 'model.txt',
        isOdd ? 'm/model.json' : 'm/model.txt',
      );
      expect((await load('m')).status).toBe(200);
    }
    reloading = false;
    await Promise.all(clients);

    expect([...statuses]).toEqual([200]);
  });

  it('changes an ONNX model while requests are running on it', async () => {
    directory.copy('digits-onnx', 'model.onnx', 'm/model.onnx');
    await load('m');
    const answers = Promise.all(Array.from({ length: 60 }, () => infer('digits-onnx')));
    const loads = Promise.all(Array.from({ length: 10 }, () => load('m')));

    expect(new Set((await loads).map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set((await answers).map(({ status }) => status))).toEqual(new Set([200]));
  });

  it.each([
    ['a pickle', 'm/model.pkl', '', /model\.pkl is a Python pickle.*skl2onnx/],
    ['a joblib file', 'm/1/model.joblib', '', /pickle/],
    ['a pickle under another name', 'm/model.bst', Uint8Array.of(0x80, 4), /pickle/],
    ['the old binary format', 'm/model.bst', 'binf\0\0', /old binary format/],
    ['an empty file', 'm/model.onnx', '', /model\.onnx is empty/],
    ['a file for another runtime', 'm/model.pt', 'x', /model\.pt is for another runtime/],
    ['no model at all', 'm/readme.md', 'x', /no model file/],
    ['an ONNX file that is none', 'm/model.onnx', 'hello', /not a valid ONNX model/],
    ['JSON that is no model', 'm/model.json', '{"a":1}', /learner is not an object/],
    ['JSON that is cut off', 'm/model.json', '{"learner":', /not a valid XGBoost model: malformed JSON/],
    ['text that is no model', 'm/model.txt', 'hello', /does not begin with "tree"/],
  ])('refuses %s with the reason', async (_, file, content, reason) => {
    directory.write(file, content);

    expect(await load('m')).toMatchObject({ status: 400, body: { error: expect.stringMatching(reason) } });
    expect(await index()).toEqual([]);
  });

  it('refuses to guess between two files, unless one is named model', async () => {
    directory.copy('iris-lightgbm', 'model.txt', 'm/a.txt');
    directory.copy('iris-lightgbm', 'model.txt', 'm/b.txt');
    directory.write('m/config.json', '{}');

    expect(await load('m')).toMatchObject({ status: 400, body: { error: expect.stringMatching(/a\.txt, b\.txt/) } });

    directory.copy('iris-lightgbm', 'model.txt', 'm/model.txt');

    expect(await load('m')).toMatchObject({ status: 200 });
  });
});

describe('a model that is replaced', () => {
  it('is closed only when the last request on it has ended, and answers 503 while first loading', async () => {
    const closed: string[] = [];
    const pending: (() => void)[] = [];
    const loaded = (version: string): Loaded => ({
      version,
      model: {
        platform: 'test',
        inputs: [],
        outputs: [],
        features: undefined,
        takesAnyNumber: false,
        predict: () => [],
        close: async () => void closed.push(version),
      },
    });
    const versions = ['1', '2'];
    const open = async () => {
      await new Promise<void>((resolve) => pending.push(resolve));
      return loaded(versions.shift() ?? '');
    };
    const repository = createRepository({ clock: systemClock, log: silentLog, open });
    const first = repository.load('m');
    expect(() => repository.using('m', undefined, () => {})).toThrow(/is loading/);
    await expect.poll(() => pending.length).toBe(1);
    pending[0]?.();
    await first;
    let end = () => {};
    const running = repository.using('m', '1', () => new Promise<void>((resolve) => (end = resolve)));
    const second = repository.load('m');
    await expect.poll(() => pending.length).toBe(2);
    pending[1]?.();
    await second;

    expect(repository.index()).toEqual([{ name: 'm', version: '2', state: 'READY' }]);
    expect(closed).toEqual([]);

    end();
    await running;

    expect(closed).toEqual(['1']);
  });
});
