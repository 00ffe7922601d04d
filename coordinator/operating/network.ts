import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { HearthlendError } from '../../core/contract/errors.ts';
import { NetworkTerms, PAYEE_DELAY_MS } from '../../core/contract/joining.ts';
import { practiceCredit } from '../../core/contract/money.ts';
import type { Address } from '../../core/contract/receipt.ts';
import { NetworkId } from '../../core/contract/shard.ts';
import { readSecret, writeSecret } from '../files.ts';
import { NatsCredentials, newServerKeys, ServerKeys } from '../nats/keys.ts';

/** What a coordinator keeps of its network, beside its keys. */
const NetworkFile = z.strictObject({
  type: z.literal('hearthlend network'),
  version: z.literal(1),
  id: NetworkId,
  terms: NetworkTerms,
  /** Of the tokens that open blobs: every coordinator of the network takes those of the others. Base64. */
  blobKey: z.string().length(44),
});
export type NetworkFile = z.infer<typeof NetworkFile>;

/** What a terms file may say; what it leaves out stays as it was, or as it is at first. */
export const TermsFile = NetworkTerms.omit({ id: true, coordinator: true }).partial();

/** What another coordinator of the same network, or the first one on an existing NATS cluster, is given. */
export const CredentialsFile = z.strictObject({
  type: z.literal('hearthlend coordinator credentials'),
  version: z.literal(1),
  nats: NatsCredentials,
  /** The authority of the cluster's certificates, PEM, where the system doesn't trust it anyway and it isn't the network's own. */
  ca: z.string().max(16_384).optional(),
  /** Left out for a cluster's own operator: NATS is known, the network is made by the first coordinator. */
  network: z
    .strictObject({
      network: NetworkFile,
      /** The coordinator's identity file: it signs receipts. */
      identity: z.string().max(4096),
      authority: z.strictObject({ certificate: z.string().max(16_384), key: z.string().max(4096) }),
    })
    .optional(),
});
export type CredentialsFile = z.infer<typeof CredentialsFile>;

interface NetworkChoices {
  name: string | null;
  operator: string | null;
  terms: z.infer<typeof TermsFile> | null;
}

const FIRST_NAME = 'studio';

/**
 * The network of a coordinator's folder, made there the first time, with what its operator says of it now.
 * @throws COORDINATOR_FILE_INVALID, USAGE where its name is to change
 */
export function openNetworkFile(dir: string, coordinator: Address, { name, operator, terms }: NetworkChoices): NetworkFile {
  const path = join(dir, 'network.json');
  const kept = readSecret(path, NetworkFile);
  if (kept !== null && name !== null && !kept.id.startsWith(`${slugOf(name)}-`)) {
    throw new HearthlendError('USAGE', { detail: `this network is ${kept.id}, and a network keeps its name` });
  }
  // Receipts are of one network by its id, which therefore is nobody else's.
  const id = kept?.id ?? `${slugOf(name ?? FIRST_NAME)}-${coordinator.slice(2, 10).toLowerCase()}`;
  const file = NetworkFile.parse({
    type: 'hearthlend network',
    version: 1,
    id,
    terms: { ...(kept?.terms ?? firstTerms(id, coordinator, name ?? FIRST_NAME)), ...terms, ...(operator === null ? {} : { operator }) },
    blobKey: kept?.blobKey ?? randomBytes(32).toString('base64'),
  });
  writeSecret(path, `${JSON.stringify(file)}\n`);
  return file;
}

/** Puts another coordinator's network into a folder. @throws COORDINATOR_FILE_INVALID where the folder has one of its own */
export function adoptNetworkFile(dir: string, network: NetworkFile): void {
  const path = join(dir, 'network.json');
  const kept = readSecret(path, NetworkFile);
  if (kept !== null && kept.id !== network.id)
    throw new HearthlendError('COORDINATOR_FILE_INVALID', { path, detail: `it is of network ${kept.id}` });
  writeSecret(path, `${JSON.stringify(network)}\n`);
}

/** A studio's own network: it counts work and pays nothing that is worth anything. */
function firstTerms(id: string, coordinator: Address, name: string): NetworkTerms {
  return {
    id,
    operator: name,
    contact: '',
    rules: '',
    coordinator,
    asset: practiceCredit(id),
    symbol: 'credits',
    decimals: 0,
    prices: [
      { unit: 'run', perUnit: '1', note: '' },
      { unit: 'token', perUnit: '1', note: '' },
    ],
    categories: [],
    isolation: ['os', 'chromium'],
    holdBackMs: 0,
    payeeDelayMs: PAYEE_DELAY_MS,
    settlement: null,
  };
}

function slugOf(name: string): string {
  const slug = name
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 40);
  return slug === '' ? 'network' : slug;
}

/** The keys of the NATS server in a coordinator's folder, made there the first time. @throws COORDINATOR_FILE_INVALID */
export function openServerKeys(dir: string): ServerKeys {
  const path = join(dir, 'nats-keys.json');
  const kept = readSecret(path, ServerKeys);
  if (kept !== null) return kept;
  const keys = newServerKeys();
  writeSecret(path, `${JSON.stringify(keys)}\n`);
  return keys;
}
