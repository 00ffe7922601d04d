import { JetStreamApiError } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';

/** As many servers of a cluster as keep what is stored, so that one of them may be lost. */
const IN_CLUSTER = 3;
/** It has fewer servers, or none with room. Source: nats-server/server/errors.json. */
const TOO_FEW = new Set([10005, 10023, 10047, 10074]);

/** Makes a stream with as many copies as a cluster keeps; with one where there is no cluster, or not enough of it. */
export async function withCopies<T>(nc: NatsConnection, make: (copies: number) => Promise<T>): Promise<T> {
  if (nc.info?.cluster === undefined) return make(1);
  try {
    return await make(IN_CLUSTER);
  } catch (thrown) {
    if (thrown instanceof JetStreamApiError && TOO_FEW.has(thrown.code)) return make(1);
    throw thrown;
  }
}
