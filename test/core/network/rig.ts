import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { NetworkChoices } from '../../../core/contract/networks.ts';
import { openIdentity } from '../../../core/identity/identity.ts';
import type { Link } from '../../../core/network/connection.ts';
import { joinNetwork, readLink, readTerms } from '../../../core/network/joining.ts';
import { createNatsNetwork, type NatsNetwork } from '../../../core/network/nats-network.ts';
import type { JoinedNetwork } from '../../../core/network/records.ts';
import type { FakeCoordinator } from '../../fakes/nats-coordinator.ts';

export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-network-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Joins, as a machine of its own. */
export async function joinAs(coordinator: FakeCoordinator, link = coordinator.link()): Promise<JoinedNetwork> {
  const identity = openIdentity(join(tempFolder(), 'identity.json'));
  const read = readLink(link);
  const { terms } = await readTerms(read);
  const joined = await joinNetwork(read, terms, {
    worker: identity.address,
    payee: identity.address,
    version: '0.1.0',
    signDigest: (digest) => identity.signDigest(digest),
    clock: Date.now,
  });
  return { ...joined, choices: NetworkChoices.parse({}) };
}

export interface Member {
  network: NatsNetwork;
  links: Link[];
  record(): JoinedNetwork;
  /** Resolves once the connection is in this state. */
  until(state: Link['state']): Promise<void>;
  connect(): Promise<void>;
}

/** A member of the network; its connection ends with the test. */
export async function member(
  coordinator: FakeCoordinator,
  change: (record: JoinedNetwork) => JoinedNetwork = (each) => each,
): Promise<Member> {
  let record = change(await joinAs(coordinator));
  const links: Link[] = [];
  let told = Promise.withResolvers<void>();
  const network = createNatsNetwork({
    mayBePaid: () => true,
    record: () => record,
    save(next) {
      record = next;
    },
    version: '0.1.0',
    clock: Date.now,
    onInfo: () => undefined,
    onLink(link) {
      links.push(link);
      told.resolve();
      told = Promise.withResolvers();
    },
  });
  onTestFinished(() => network.close());
  return {
    network,
    links,
    record: () => record,
    async until(state) {
      while (links.at(-1)?.state !== state) await told.promise;
    },
    async connect() {
      await network.connect({ address: '0x0000000000000000000000000000000000000001', payee: '0x0000000000000000000000000000000000000001' });
    },
  };
}
