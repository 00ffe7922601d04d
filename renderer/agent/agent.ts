import { createContext, useContext } from 'react';
import { asHearthlendError, HearthlendError } from '../../core/contract/errors.ts';
import type { CallInput, CallName, CallOutput } from '../../core/contract/rpc.ts';
import { createRpcClient, type RpcClient } from '../../core/contract/rpc-client.ts';
import type { Settings } from '../../core/contract/settings.ts';
import { addQuestion, changeAnswer, fromJob, isOpen } from './answers.ts';
import { applyChanged, applyCurrentText, applyPrompt, applySnapshot } from './app-state.ts';
import { type BenchmarkActs, createBenchmarkActs } from './benchmark-acts.ts';
import { connect, type Open } from './connection.ts';
import { createEarningsActs, type EarningsActs } from './earnings-acts.ts';
import { createMoneyActs, type MoneyActs } from './money-acts.ts';
import { createNetworkActs, type NetworkActs } from './network-acts.ts';
import { createPolicyActs, type PolicyActs } from './policy-acts.ts';
import type { Store } from './store.ts';
import { addSample, joinHistory } from './telemetry-state.ts';
import { createWalletActs, type WalletActs } from './wallet-acts.ts';

/** What the screen can have done. Failures appear in the state, as a notice or in the answer; nothing here rejects. */
export interface Agent {
  /** @param forMs how long, null until resumed */
  pause(forMs: number | null): Promise<void>;
  resume(): Promise<void>;
  /** Works for so long although a rule says no. */
  startAnyway(forMs: number): Promise<void>;
  keepPractising(): Promise<void>;
  /** @param vary whether the same prompt may get another answer next time */
  ask(prompt: string, vary: boolean): Promise<void>;
  stopAnswer(id: number): Promise<void>;
  /** Makes the attempts to break out anew. Unlike the rest it rejects: whoever asked says what went wrong. */
  tryToBreakOut(): Promise<void>;
  chooseTheme(theme: Settings['theme']): Promise<void>;
  readonly wallet: WalletActs;
  readonly benchmark: BenchmarkActs;
  readonly policy: PolicyActs;
  readonly networks: NetworkActs;
  readonly money: MoneyActs;
  readonly earnings: EarningsActs;
  closeNotice(): void;
  reconnect(): void;
}

const PRACTICE_SHARDS = 200;
const ANSWER_TOKENS = 100;

/** The agent as this page knows it: keeps `store` true by its events, and does what is asked. */
export function createAgent(store: Store, open: Open): Agent {
  let nextAnswerId = 1;
  const { change } = store;

  const connection = connect({
    open,
    create: createRpcClient,
    onLink: (link) => change((state) => ({ ...state, link })),
    onClient: async (client) => {
      watchEvents(client);
      const [snapshot, settings] = await Promise.all([client.call('app.watch', {}), client.call('settings.get', {})]);
      change((state) => ({ ...applySnapshot(state, snapshot, Date.now()), theme: settings.theme }));
      void catchUp();
      void wallet.refresh();
      void refreshTelemetry();
      void benchmark.refresh();
      money.changed();
    },
  });

  function watchEvents(client: RpcClient): void {
    client.on('changed', (data) => store.changeSoon((state) => applyChanged(state, data, Date.now())));
    client.on('current.text', (data) => store.changeSoon((state) => applyCurrentText(state, data, Date.now())));
    client.on('wallet.changed', (status) => {
      change((state) => ({ ...state, wallet: status, walletTrouble: null }));
      money.changed();
    });
    client.on('payments.changed', money.changed);
    client.on('network.changed', (networks) => store.changeSoon((state) => ({ ...state, networks })));
    client.on('telemetry.sample', (sample) => store.changeSoon((state) => ({ ...state, telemetry: addSample(state.telemetry, sample) })));
    client.on('benchmark.progress', (running) => {
      change((state) => (state.benchmark === null ? state : { ...state, benchmark: { ...state.benchmark, running } }));
      if (running === null) void benchmark.refresh();
    });
    client.on('prompt.text', (data) => {
      store.changeSoon((state) => applyPrompt(state, data));
      const failed = store.get().answers.find((answer) => answer.jobId === data.jobId && answer.phase === 'failed');
      // The event carries the code alone; the job has what its message needs.
      if (failed !== undefined) void askJob(failed.id);
    });
  }

  function call<N extends CallName>(name: N, input: CallInput<N>): Promise<CallOutput<N>> {
    const client = connection.client();
    return client === null ? Promise.reject(new HearthlendError('RPC_DISCONNECTED')) : client.call(name, input);
  }

  const wallet = createWalletActs(call, store);
  const benchmark = createBenchmarkActs(call, store);
  const money = createMoneyActs(call, store);

  async function noticing(work: Promise<unknown>): Promise<void> {
    try {
      await work;
      change((state) => ({ ...state, notice: null }));
    } catch (thrown) {
      change((state) => ({ ...state, notice: asHearthlendError(thrown) }));
    }
  }

  /** The last minutes, for the pictures. Where they can't be had, what comes from now on fills them. */
  async function refreshTelemetry(): Promise<void> {
    const kept = await call('telemetry.history', {}).catch(() => null);
    if (kept !== null) change((state) => ({ ...state, telemetry: joinHistory(kept, state.telemetry) }));
  }

  /** Answers that were open when the connection went: what became of them. */
  async function catchUp(): Promise<void> {
    for (const answer of store.get().answers) if (isOpen(answer) && answer.jobId !== null) await askJob(answer.id);
  }

  async function askJob(id: number): Promise<void> {
    const answer = store.get().answers.find((each) => each.id === id);
    if (answer?.jobId == null) return;
    try {
      const job = await call('job.show', { jobId: answer.jobId });
      change((state) => ({
        ...state,
        answers: state.answers.map((each) => (each.id === id ? { ...each, ...fromJob(each, job) } : each)),
      }));
    } catch (thrown) {
      const error = asHearthlendError(thrown);
      if (error.code === 'RPC_DISCONNECTED' || !isOpen(answer)) return;
      change((state) => ({ ...state, answers: changeAnswer(state.answers, id, { phase: 'failed', error }) }));
    }
  }

  return {
    pause: (forMs) => noticing(call('work.pause', { forMs })),
    resume: () => noticing(call('work.resume', {})),
    startAnyway: (forMs) => noticing(call('work.start', { forMs })),
    keepPractising: () => noticing(call('practice.extend', { shards: PRACTICE_SHARDS })),
    ask: async (prompt, vary) => {
      const id = nextAnswerId;
      nextAnswerId += 1;
      change((state) => ({ ...state, answers: addQuestion(state.answers, id, prompt), early: [] }));
      try {
        const sampling = vary
          ? ({ method: 'sample', seed: randomSeed(), temperature: 0.8, topP: 0.95 } as const)
          : ({ method: 'greedy' } as const);
        const { jobId } = await call('prompt.ask', { prompt, maxNewTokens: ANSWER_TOKENS, sampling });
        change((state) => {
          const early = state.early.find((event) => event.jobId === jobId);
          const named = { ...state, answers: changeAnswer(state.answers, id, { jobId }), early: [] };
          return early === undefined ? named : applyPrompt(named, early);
        });
      } catch (thrown) {
        change((state) => ({ ...state, answers: changeAnswer(state.answers, id, { phase: 'failed', error: asHearthlendError(thrown) }) }));
      }
    },
    stopAnswer: async (id) => {
      const answer = store.get().answers.find((each) => each.id === id);
      if (answer?.jobId == null || !isOpen(answer)) return;
      change((state) => ({ ...state, answers: changeAnswer(state.answers, id, { phase: 'stopping' }) }));
      await noticing(
        call('job.cancel', { jobId: answer.jobId }).then((job) =>
          change((state) => ({
            ...state,
            answers: state.answers.map((each) => (each.id === id && isOpen(each) ? { ...each, ...fromJob(each, job) } : each)),
          })),
        ),
      );
    },
    tryToBreakOut: async () => {
      const { isolation } = await call('doctor.report', { isolation: true });
      change((state) => applyChanged(state, { isolation }, Date.now()));
    },
    chooseTheme: async (theme) => {
      change((state) => ({ ...state, theme }));
      await noticing(call('settings.set', { theme }));
    },
    wallet,
    benchmark,
    policy: createPolicyActs(call, store),
    networks: createNetworkActs(call, store),
    money,
    earnings: createEarningsActs(call),
    closeNotice: () => change((state) => ({ ...state, notice: null })),
    reconnect: () => connection.retry(),
  };
}

function randomSeed(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export const AgentContext = createContext<Agent | null>(null);

export function useAgent(): Agent {
  const agent = useContext(AgentContext);
  if (agent === null) throw new Error('useAgent is for what <AgentContext> holds');
  return agent;
}
