import { describe, expect, it } from 'vitest';
import { resolvePredictor } from '../index.ts';

describe('resolvePredictor', () => {
  it("reads KServe's framework keys as the model that they stand for", () => {
    expect(resolvePredictor({ sklearn: { args: ['--x'] } })).toEqual({
      format: { name: 'sklearn', version: undefined },
      runtime: undefined,
      protocolVersion: undefined,
      implementation: { args: ['--x'] },
      multiModel: true,
    });
  });

  it.each([
    ['triton', { triton: {} }, 'v2'],
    ['onnx', { onnx: {} }, 'v2'],
    ['a model of format onnx', { model: { modelFormat: { name: 'onnx' } } }, undefined],
    ['a model of format triton', { model: { modelFormat: { name: 'triton' } } }, 'v2'],
    ['what is given', { onnx: { protocolVersion: 'v1' as const } }, 'v1'],
  ])('takes the protocol of %s', (_, predictor, protocol) => {
    expect(resolvePredictor(predictor).protocolVersion).toBe(protocol);
  });

  it.each([
    ['a storageUri', { sklearn: { storageUri: 's3://b/m' } }, false],
    ['a storage', { sklearn: { storage: {} } }, false],
    ['storageUris', { sklearn: {}, storageUris: [{ uri: 's3://b/m' }] }, false],
    ['Hugging Face', { huggingface: {} }, false],
    ['no location', { sklearn: {} }, true],
    ['a custom container', { containers: [{ name: 'c' }] }, false],
    [
      'a custom container that says so',
      { containers: [{ name: 'c', env: [{ name: 'MULTI_MODEL_SERVER', value: 'true' }] }] },
      true,
    ],
  ])('with %s, many models: %s', (_, predictor, multiModel) => {
    expect(resolvePredictor(predictor as Parameters<typeof resolvePredictor>[0]).multiModel).toBe(multiModel);
  });
});
