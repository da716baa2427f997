import { connect, type Socket } from 'node:net';

export type Exchange = { readonly method: 'GET' | 'POST'; readonly path: string; readonly body: string };

export type Answer = { readonly status: number; readonly text: string };

/**
 * Sends `exchange` over `connections` keep-alive connections, one request at a time on each, until `until` resolves. Gives the
 * milliseconds of each request. Rejects at the first answer other than 200. Bytes are written and read plainly, so that the client
 * takes little of the machine.
 */
export async function press(
  port: number,
  exchange: Exchange,
  connections: number,
  until: Promise<unknown>,
): Promise<number[]> {
  const latencies: number[] = [];
  let isOver = false;
  const stop = until.finally(() => {
    isOver = true;
  });
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const client = await open(port);
      while (!isOver) {
        const startedMs = performance.now();
        const { status, text } = await client.ask(exchange);
        if (status !== 200) throw new Error(`${exchange.path} answered ${status}: ${text.slice(0, 200)}`);
        latencies.push(performance.now() - startedMs);
      }
      client.close();
    }),
  );
  await stop;
  return latencies;
}

export async function ask(port: number, exchange: Exchange): Promise<Answer> {
  const client = await open(port);
  try {
    return await client.ask(exchange);
  } finally {
    client.close();
  }
}

export type Client = { ask(exchange: Exchange): Promise<Answer>; close(): void };

/** One connection to a server on loopback. */
export async function open(port: number): Promise<Client> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return {
    ask({ method, path, body }) {
      const head = `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n`;
      socket.write(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
      return answerFrom(socket);
    },
    close: () => socket.destroy(),
  };
}

/** Reads one answer that gives its length, as all of these servers do. */
function answerFrom(socket: Socket): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let got = '';
    let end: number | undefined;
    const settle = (act: () => void) => {
      socket.off('data', onData).off('close', onClose).off('error', onError);
      act();
    };
    const onData = (bytes: Buffer) => {
      got += bytes.toString('latin1');
      if (end === undefined) {
        const head = got.indexOf('\r\n\r\n');
        if (head < 0) return;
        end = head + 4 + Number(/^content-length: *(\d+)/im.exec(got.slice(0, head))?.[1] ?? 0);
      }
      if (got.length < end) return;
      const text = got.slice(got.indexOf('\r\n\r\n') + 4, end);
      settle(() => resolve({ status: Number(got.slice(9, 12)), text }));
    };
    const onClose = () => settle(() => reject(new Error('the server closed the connection')));
    const onError = (error: Error) => settle(() => reject(error));
    socket.on('data', onData).once('close', onClose).once('error', onError);
  });
}
