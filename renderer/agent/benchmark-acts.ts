import type { RpcClient } from '../../core/contract/rpc-client.ts';
import type { Store } from './store.ts';

/** What the page can have measured. `run` and `cancel` reject: whoever pressed says what went wrong. */
export interface BenchmarkActs {
  run(how: { quick: boolean; evenIfBusy: boolean }): Promise<void>;
  cancel(): Promise<void>;
  /** Asks for the kept results. Where they can't be had, what is known stays. */
  refresh(): Promise<void>;
}

export function createBenchmarkActs(call: RpcClient['call'], { change }: Pick<Store, 'change'>): BenchmarkActs {
  async function refresh(): Promise<void> {
    const history = await call('benchmark.history', {}).catch(() => null);
    if (history !== null) change((state) => ({ ...state, benchmark: history }));
  }
  return {
    refresh,
    async run(how) {
      await call('benchmark.run', how);
      await refresh();
    },
    cancel: async () => void (await call('benchmark.cancel', {})),
  };
}
