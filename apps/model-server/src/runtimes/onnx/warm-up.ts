import { onnxRuntime } from './library.ts';

/** `y = Identity(x)`, as ONNX. */
const identity = 'CAgSADo3ChAKAXgSAXkiCElkZW50aXR5EgFnWg8KAXgSCgoICAESBAoCCAFiDwoBeRIKCggIARIECgIIAUIECgAQEQ==';

/** What the library does once in a process: reading itself into memory and opening a first session, some 50 ms. */
export async function warmUpOnnx(): Promise<void> {
  const { InferenceSession } = await onnxRuntime();
  await (await InferenceSession.create(Buffer.from(identity, 'base64'))).release();
}
