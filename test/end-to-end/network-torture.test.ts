import { beforeAll, beforeEach, expect, test } from 'vitest';
import { natsMissing } from '../nats.ts';
import { EACH_ONCE, tortureByNetwork } from '../torture/network.ts';
import { temporaryFolder } from './program.ts';

const missing = natsMissing() ?? (process.platform === 'win32' ? 'Windows has no SIGSTOP' : null);

// The long one is `npm run torture -- --part network`.
let found: Awaited<ReturnType<typeof tortureByNetwork>>;
beforeAll(async () => {
  if (missing === null) found = await tortureByNetwork(temporaryFolder('torture'), EACH_ONCE, 3);
}, 400_000);
beforeEach((context) => context.skip(missing !== null, missing ?? ''));

test('an agent and a coordinator are killed, others stopped, and nats-server killed: each job ends right, is paid once and stays on record', () => {
  expect(found.wrong).toEqual([]);
});

test('so it is when an agent’s cable is pulled', (context) => {
  context.skip(found.uncut !== null, found.uncut ?? '');
  expect(found.did).toContain('cable pulled 1 times');
});
