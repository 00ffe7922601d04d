import type { Provider } from '../contract/backends.ts';
import type { Sha256 } from '../contract/digest.ts';
import type { SessionOptions } from '../contract/shard.ts';

/** A model that the worker has loaded, under one set of session options and on one provider. */
export interface WarmSession {
  key: string;
  digest: Sha256;
  session: SessionOptions;
  provider: Provider;
  /** What it is counted with: its files, or by how much the worker grew at loading where that is more. */
  bytes: number;
}

/** Session options and provider change a result's bits, so a model loaded under others is another session. */
export function sessionKey(digest: Sha256, session: SessionOptions, provider: Provider): string {
  return `${digest} ${session.intraOpThreads} ${session.graphOptimization} ${provider.name} ${provider.deviceId}`;
}

/**
 * The sessions to unload so that one more of `neededBytes` stays within the limit, the least recently used first.
 * @param warm the loaded sessions, the most recently used last
 */
export function sessionsToUnload(warm: readonly WarmSession[], neededBytes: number, limitBytes: number): WarmSession[] {
  let total = neededBytes;
  for (const session of warm) total += session.bytes;
  const unload: WarmSession[] = [];
  for (const session of warm) {
    if (total <= limitBytes) break;
    unload.push(session);
    total -= session.bytes;
  }
  return unload;
}
