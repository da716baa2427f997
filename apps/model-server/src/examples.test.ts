import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  decodeInferRequest,
  decodeInferResponse,
  decodeV1Request,
  encodeInferResponse,
  encodeV1Response,
} from '@roundhouse/v2-protocol';
import { describe, expect, it } from 'vitest';
import { createInference } from './inference.ts';
import { expectClose } from './testing/close.ts';
import { openRepository } from './testing/open-repository.ts';

const examples = join(import.meta.dirname, '../../../examples');
const names = readdirSync(join(examples, 'models')).sort();

describe('the examples', () => {
  const repository = openRepository(join(examples, 'models'));
  const inference = createInference(repository, { decodeV1Request }, 1_000);

  it.each(names)('%s answers what the native library answered, over V1 and V2', async (name) => {
    const { request, response, toleranceRelative } = JSON.parse(
      readFileSync(join(examples, 'expected', `${name}.json`), 'utf8'),
    );
    await repository.load(name);
    const v2 = decodeInferRequest(Buffer.from(JSON.stringify(request.v2)), undefined);
    const v1 = Buffer.from(JSON.stringify(request.v1));
    const encoded = encodeInferResponse(await inference.infer(name, undefined, v2), v2);
    const answer = JSON.parse(String(encoded.body));
    const rows = JSON.parse(encodeV1Response(await inference.predictV1(name, v1)));

    expectClose(answer, response.v2, toleranceRelative);
    expectClose(rows, response.v1, toleranceRelative);
    expect(decodeInferResponse(Buffer.from(String(encoded.body)), undefined).modelName).toBe(name);
  });

  it('has a manifest and an expectation for each model, and no other', () => {
    const manifests = readdirSync(join(examples, 'manifests')).filter((file) => !file.startsWith('00-'));

    expect(manifests.sort()).toEqual(names.map((name) => `${name}.yaml`));
    expect(readdirSync(join(examples, 'expected')).sort()).toEqual(names.map((name) => `${name}.json`));
  });
});
