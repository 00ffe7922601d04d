import { expect, test } from 'vitest';
import type { ApiKey } from '../../core/contract/api-keys.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { EmbeddedCoordinator } from '../../core/contract/jobs.ts';
import type { ServedModels } from '../../core/contract/serving.ts';
import { Settings } from '../../core/contract/settings.ts';
import { openRequests } from '../../core/requests.ts';

/** Keys in memory, and a server that only counts. */
function parts(open: () => Promise<{ port: number }>) {
  const keys: ApiKey[] = [];
  const closed: number[] = [];
  const coordinator = {
    keys: {
      async create(name: string) {
        const key = { id: `key-${name}`, name, createdAt: 1, budget: null, spent: '0' };
        keys.push(key);
        return { key, secret: `hl-${name}` };
      },
      list: async () => keys,
      remove: async (name: string) =>
        keys.splice(
          keys.findIndex((key) => key.name === name),
          1,
        )[0],
    },
  };
  const requests = openRequests({
    ports: {
      clock: () => 1,
      log: () => undefined,
      async openRequests() {
        const { port } = await open();
        return { port, close: async () => void closed.push(port) };
      },
    } as never,
    coordinator: coordinator as unknown as EmbeddedCoordinator,
    models: {} as ServedModels,
    settings: { current: Settings.parse({ requests: { port: 4321 } }) },
  });
  return { requests, closed };
}

test('nobody listens before the agent works, nor without a key, nor after the last one is gone', async () => {
  const { requests, closed } = parts(async () => ({ port: 4321 }));
  await requests.start();
  expect(await requests.handlers['key.list']({})).toMatchObject({ address: null, problem: null });
  expect(await requests.handlers['key.create']({ name: 'a' })).toMatchObject({ secret: 'hl-a', address: 'http://127.0.0.1:4321/v1' });
  await requests.handlers['key.create']({ name: 'b' });
  await requests.handlers['key.remove']({ key: 'a' });
  expect(closed).toEqual([]);
  await requests.handlers['key.remove']({ key: 'b' });
  expect(closed).toEqual([4321]);

  const sleeping = parts(async () => ({ port: 1 }));
  expect(await sleeping.requests.handlers['key.create']({ name: 'a' })).toMatchObject({ address: null, port: 4321 });
  await sleeping.requests.start();
  expect(await sleeping.requests.handlers['key.list']({})).toMatchObject({ address: 'http://127.0.0.1:1/v1' });
  await sleeping.requests.close();
  expect(sleeping.closed).toEqual([1]);
});

test('a port that somebody else has is told by its name, and stops nothing', async () => {
  let taken = true;
  const { requests } = parts(async () => {
    if (taken) throw new HearthlendError('PORT_IN_USE', { port: '4321' });
    return { port: 4321 };
  });
  await requests.start();
  expect(await requests.handlers['key.create']({ name: 'a' })).toMatchObject({ address: null, problem: 'PORT_IN_USE' });
  taken = false;
  expect(await requests.handlers['key.create']({ name: 'b' })).toMatchObject({ address: 'http://127.0.0.1:4321/v1', problem: null });
});
