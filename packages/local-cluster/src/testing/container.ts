import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

/**
 * A container for tests: `--port N` listens, `--ready-after MS`, `--exit-after MS --code N`, `--stubborn` ignores SIGTERM,
 * `--say TEXT` prints. Over HTTP it tells its environment, its arguments and what its files hold, and does as told.
 */
const args = process.argv.slice(2);
const option = (name: string) => {
  const at = args.indexOf(`--${name}`);
  return at < 0 ? undefined : (args[at + 1] ?? '');
};
const startedAt = Date.now();
let healthy = true;

if (option('say') !== undefined) console.log(option('say'));
if (option('exit-after') !== undefined) {
  setTimeout(() => process.exit(Number(option('code') ?? 0)), Number(option('exit-after')));
}
process.on('SIGTERM', () => {
  console.log('asked to end');
  if (!args.includes('--stubborn')) process.exit(0);
});

const port = option('port');
if (port !== undefined) {
  createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const answer = (status: number, body: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    if (pathname === '/readyz') {
      answer(Date.now() - startedAt >= Number(option('ready-after') ?? 0) ? 200 : 503, {});
    } else if (pathname === '/healthz') answer(healthy ? 200 : 500, {});
    else if (pathname === '/sicken') {
      healthy = false;
      answer(200, {});
    } else if (pathname === '/print') answer(200, console.log(searchParams.get('text')) ?? {});
    else if (pathname === '/die') process.exit(3);
    else if (pathname === '/drain') answer(200, console.log('drained') ?? {});
    else if (pathname === '/file') {
      try {
        answer(200, readFileSync(searchParams.get('path') ?? '', 'utf8'));
      } catch {
        answer(404, '');
      }
    } else answer(200, { args, env: process.env, pid: process.pid });
  }).listen(Number(port), '127.0.0.1');
}
