import { connect } from '@nats-io/transport-node';
import { expect, test } from 'vitest';
import { natsMissing, startNats } from '../../nats.ts';

test('a nats-server of a test takes connections, and after a kill again on the same port', async (context) => {
  context.skip(natsMissing() !== null, natsMissing() ?? '');
  const nats = await startNats();
  const { port } = nats;
  const connection = await connect({ servers: nats.url, reconnectTimeWait: 20 });
  const back = Promise.withResolvers<void>();
  void (async () => {
    for await (const { type } of connection.status()) if (type === 'reconnect') back.resolve();
  })();
  await nats.restart();
  expect(nats.port).toBe(port);
  await back.promise;
  await connection.close();
  await nats.stop();
});
