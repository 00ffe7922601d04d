import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { askCoordinator } from '../../cli/operator/reach.ts';
import { OPERATOR_FOLDER } from '../../cli/operator/request.ts';
import type { AppealRecord } from '../../core/contract/audits.ts';
import type { MemberRow } from '../../core/contract/operating.ts';
import { DECIMALS, type DemoChain, PRICE, SYMBOL } from './chain.ts';
import type { Child, Children } from './children.ts';

/** A voucher for what was accepted comes at most so long after it. */
const EPOCH_MS = 1000;
const INVITATION_MS = 300_000;
/** Also a machine without a sandbox can take part in this: nothing that it is sent is a stranger's. */
export const ISOLATION = ['os', 'chromium', 'process'] as const;

/** The coordinator, in a process of its own, and what its operator can ask it. */
export interface Operator {
  readonly child: Child;
  readonly network: string;
  /** nats-server's, which the coordinator runs. */
  readonly servers: string[];
  invite(): Promise<string>;
  workers(): Promise<MemberRow[]>;
  /** What results were rejected by, newest first. */
  appeals(): Promise<AppealRecord[]>;
  /** A key for whoever sends work, and where to. */
  key(name: string): Promise<{ secret: string; network: string; address: string }>;
}

/** @param models folders of decoders that may be asked by name */
export async function startOperator(
  children: Children,
  dataDir: string,
  { chain, contract, payer, asset }: DemoChain,
  models: readonly string[],
): Promise<Operator> {
  mkdirSync(dataDir, { mode: 0o700 });
  const terms = join(dataDir, 'terms.json');
  writeFileSync(
    terms,
    JSON.stringify({
      ...{
        isolation: ISOLATION,
        asset,
        symbol: SYMBOL,
        decimals: DECIMALS,
        rules: 'A local demonstration: nothing of it is worth anything.',
      },
      prices: ['run', 'token'].map((unit) => ({ unit, perUnit: PRICE.toString(), note: '' })),
      settlement: { chainId: chain.chainId, contract, payer, epochMs: EPOCH_MS },
    }),
  );
  const where = ['--port', '0', '--advertise', '127.0.0.1', '--no-announce'];
  const child = children.hearthlend(dataDir, [
    'coordinator',
    ...where,
    '--name',
    'Demonstration',
    '--terms',
    terms,
    ...models.flatMap((model) => ['--model', model]),
  ]);
  const started = (await child.event('started')) as unknown as { id: string; servers: string[] };
  const dir = join(dataDir, OPERATOR_FOLDER);
  return {
    ...{ child, network: started.id, servers: started.servers },
    invite: async () => (await askCoordinator(dir, 'invite', { lastingMs: INVITATION_MS })).link,
    workers: async () => (await askCoordinator(dir, 'workers', {})).workers,
    appeals: async () => (await askCoordinator(dir, 'appeals', {})).appeals,
    key: async (name) =>
      (await children.run(dataDir, ['coordinator', 'key', 'create', '--name', name])) as unknown as {
        secret: string;
        network: string;
        address: string;
      },
  };
}
