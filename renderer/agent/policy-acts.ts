import type { RpcClient } from '../../core/contract/rpc-client.ts';
import type { RulesChange } from '../../core/contract/rules.ts';
import type { Store } from './store.ts';

const DAY_MS = 86_400_000;
/** How far back the list of pauses goes. */
const HISTORY_MS = 7 * DAY_MS;

/** What the page "When to work" can have done. All of it rejects: whoever asked says what went wrong. */
export interface PolicyActs {
  /** Asks how it stands: rules, what they make of the machine now, and the pauses of the last days. */
  refresh(): Promise<void>;
  /** The files of the user's programs that run now. */
  running(): Promise<string[]>;
  change(rules: RulesChange): Promise<void>;
  /** Pauses until the user is away, or when the task that runs is done. */
  pause(how: 'until-idle' | 'finish'): Promise<void>;
  /** Works for so long in spite of the rules that say no now. */
  startAnyway(forMs: number): Promise<void>;
}

export function createPolicyActs(call: RpcClient['call'], { change }: Pick<Store, 'change'>): PolicyActs {
  async function refresh(): Promise<void> {
    const now = Date.now();
    const [{ rules }, status, pauses] = await Promise.all([
      call('settings.get', {}),
      call('policy.status', {}),
      call('policy.history', { from: now - HISTORY_MS, to: now }),
    ]);
    change((state) => ({ ...state, when: { rules, status, pauses } }));
  }
  return {
    refresh,
    running: () => call('policy.programs', {}),
    async change(sections) {
      const { rules } = await call('settings.set', { rules: sections });
      change((state) => (state.when === null ? state : { ...state, when: { ...state.when, rules } }));
      await refresh();
    },
    async pause(how) {
      await call('work.pause', { forMs: null, ...(how === 'finish' ? { finish: true } : { untilIdle: true }) });
      await refresh();
    },
    async startAnyway(forMs) {
      await call('work.start', { forMs });
      await refresh();
    },
  };
}
