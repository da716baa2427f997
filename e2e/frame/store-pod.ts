// What models come from on a real cluster, as a program in a pod: a web server, and private stores with the key that opens one of them.
import { createServer } from 'node:http';
import { startArtifactServer } from './artifact-server.ts';
import { startPrivateStores, storePorts } from './private-stores.ts';

const host = '0.0.0.0';
const { gcs } = await startPrivateStores(host, storePorts);
createServer((_, response) => response.end(gcs.serviceAccountKey)).listen(storePorts.key, host);
await startArtifactServer(host, storePorts.artifacts);
process.on('SIGTERM', () => process.exit(0));
