// One coordinator's store in a process of its own, to be killed: holds one thing after the other, and says each when it is recorded.
import { connect } from '@nats-io/transport-node';
import { openNatsStore } from '../../../coordinator/nats/store.ts';

const [url, dir, networkId] = process.argv.slice(2) as [string, string, string];
const nc = await connect({ servers: url });
const { store } = await openNatsStore({ nc, dir, networkId, log: () => undefined });
for (let number = 0; ; number += 1) {
  await Promise.all([0, 1, 2].map((part) => store.hold(`process:${number}.${part}`, ['7'.repeat(64)])));
  process.stdout.write(`${number}\n`);
}
