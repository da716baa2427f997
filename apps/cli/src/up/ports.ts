import { createServer } from 'node:net';
import { CodedError, systemCodeOf } from '@roundhouse/base';

/**
 * `port` if it is free on 127.0.0.1; for 0 `preferred` if that is free, or any. Throws `cli/port-taken` with the way out.
 */
export async function claimPort(port: number, preferred?: number): Promise<number> {
  if (port === 0 && preferred !== undefined) return claimPort(preferred).catch(() => claimPort(0));
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
  } catch (error) {
    const taken = systemCodeOf(error) === 'EADDRINUSE' || systemCodeOf(error) === 'EACCES';
    const why = taken ? `port ${port} of 127.0.0.1 is taken` : `port ${port} of 127.0.0.1 cannot be used`;
    throw new CodedError('cli/port-taken', `${why}; choose another with --port N (0 picks a free one)`, {
      cause: error,
    });
  }
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : port;
}
