import type { BackendReport } from '../../core/contract/backends.ts';
import { practiceCredit } from '../../core/contract/money.ts';
import type { CurrentShard, DaySpan, Snapshot, TaskRow } from '../../core/contract/snapshot.ts';
import { gpu } from './hardware.ts';

/** A machine whose CPU computes, for want of a GPU. */
const cpuOnly: BackendReport = {
  cpu: { name: 'cpu', works: true, software: false, reason: null, remedy: null, difference: 0, firstMs: 240, runMs: 0.1, testedAt: 1 },
  gpus: [],
  workers: [],
  reason: { key: 'backend.cpu-serves-none', params: {} },
};

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const practice = practiceCredit('local');

/** Local midnight of the day that it is. */
function today(): { start: number; end: number } {
  const start = new Date();
  start.setHours(0, 0, 0, 0);
  const end = new Date(start);
  end.setDate(end.getDate() + 1);
  return { start: start.getTime(), end: end.getTime() };
}

export function task(fields: Partial<TaskRow>): TaskRow {
  return {
    shardId: 'practice-128',
    attempt: 1,
    network: 'local',
    origin: 'practice',
    kind: 'onnx.generate',
    state: 'accepted',
    reason: null,
    audited: false,
    asset: practice,
    amount: '38',
    units: 38,
    runMs: 210,
    at: Date.now(),
    ...fields,
  };
}

export function currentShard(fields: Partial<CurrentShard> = {}): CurrentShard {
  return {
    shardId: 'practice-129',
    attempt: 1,
    network: 'local',
    origin: 'practice',
    kind: 'onnx.generate',
    startedAt: Date.now(),
    prompt: 'lantern (noun):',
    text: ' a portable source of light that is carried by hand or hung from a',
    tokens: 17,
    maxNewTokens: 64,
    ...fields,
  };
}

export function spans(): DaySpan[] {
  const { start } = today();
  const at = (hours: number): number => start + hours * hourMs;
  return [
    { from: at(0.5), to: at(7), kind: 'worked', reason: { key: 'reason.practising', params: {} } },
    { from: at(7), to: at(9.5), kind: 'aside', reason: { key: 'reason.paused-by-you', params: {} } },
    { from: at(9.5), to: at(11), kind: 'worked', reason: null },
    { from: at(11.2), to: at(12.5), kind: 'aside', reason: { key: 'reason.paused-until', params: {} } },
  ];
}

/** An agent that practises inside a sandbox. */
export function practising(fields: Partial<Snapshot> = {}): Snapshot {
  const now = Date.now();
  return {
    version: '0.1.0',
    startedAt: now - hourMs,
    now,
    state: { name: 'working', reason: { key: 'reason.practising', params: {} }, since: now - 14 * minuteMs, until: null },
    worker: { address: '0x51f2aa0b3c4d5e6f708192a3b4c5d6e7f8099e04' },
    networks: [{ id: 'local', practice: true, connected: true, noWork: null }],
    practice: { acceptedToday: 128, shardsLeft: 72, msLeft: 6 * minuteMs },
    isolation: {
      level: 'os',
      wall: 'bubblewrap',
      reason: null,
      remedy: null,
      probe: {
        at: now - hourMs,
        attempts: [
          { name: 'read /etc/passwd', kind: 'files', succeeded: false, detail: 'ENOENT: no such file' },
          { name: 'connect to 1.1.1.1', kind: 'network', succeeded: false, detail: 'ENETUNREACH' },
          { name: 'see the parent process', kind: 'processes', succeeded: false, detail: '/proc shows this process alone' },
        ],
      },
    },
    backends: cpuOnly,
    hardware: {
      os: { platform: 'linux', name: 'Debian GNU/Linux', release: '12', arch: 'x64' },
      cpu: { model: 'AMD Ryzen 9 5950X', cores: 16 },
      memory: { totalBytes: 32 * 2 ** 30 },
      machine: { formFactor: 'desktop', name: 'ASUS PRIME X570-P', virtualMachine: false, hypervisor: null, container: false, wsl: false },
      power: { source: 'mains', percent: null },
      gpus: [],
      softwareAdapters: [],
      disk: { freeBytes: 412e9 },
      problems: [],
    },
    load: 0.78,
    current: currentShard(),
    recent: [
      task({ shardId: 'practice-128', audited: true }),
      task({ shardId: 'practice-127', kind: 'onnx.run', amount: '1', units: 1 }),
      task({ shardId: 'own-7f3ac81e', origin: 'own', amount: '0' }),
      task({ shardId: 'practice-126', state: 'released', reason: { key: 'reason.task-released-paused', params: {} }, amount: null }),
      task({ shardId: 'practice-125', state: 'submitted', amount: null }),
      task({
        shardId: 'practice-124',
        state: 'failed',
        reason: { key: 'reason.task-failed', params: { detail: 'WORKER_TIMEOUT' } },
        amount: null,
      }),
      task({ shardId: 'practice-123' }),
    ],
    earnings: [
      {
        asset: practice,
        practice: true,
        symbol: 'practice',
        decimals: 0,
        expected: '38',
        accepted: '12345',
        promised: '0',
        paid: '0',
        acceptedShards: 1284,
        acceptedToday: '4120',
        acceptedShardsToday: 128,
      },
    ],
    day: { ...today(), spans: spans() },
    ...fields,
  };
}

/** The same without a sandbox: what is missing, and the remedy. */
export function unsealed(): Snapshot {
  return practising({
    isolation: {
      level: 'process',
      wall: 'none',
      reason: { key: 'isolation.bubblewrap-missing', params: {} },
      remedy: { key: 'isolation.bubblewrap-missing.remedy', params: { command: 'sudo apt-get install bubblewrap' } },
      probe: {
        at: Date.now(),
        attempts: [
          { name: 'read /etc/passwd', kind: 'files', succeeded: true, detail: 'it could be read' },
          { name: 'connect to 1.1.1.1', kind: 'network', succeeded: true, detail: 'connected' },
          { name: 'gain privileges', kind: 'privilege', succeeded: false, detail: 'EPERM' },
        ],
      },
    },
  });
}

/** Paid work beside practice. */
export function earning(): Snapshot {
  const [practiceNumbers] = practising().earnings;
  return practising({
    state: { name: 'working', reason: { key: 'reason.network-work', params: { network: 'open' } }, since: Date.now(), until: null },
    networks: [{ id: 'open', practice: false, connected: true, noWork: null }],
    earnings: [
      ...(practiceNumbers === undefined ? [] : [practiceNumbers]),
      {
        asset: 'eip155:1612/slip44:60',
        practice: false,
        symbol: 'OPEN',
        decimals: 18,
        expected: '48209999999999999999',
        accepted: '1204500000000000000000',
        promised: '1190000000000000000000',
        paid: '900000000000000000000',
        acceptedShards: 1284,
        acceptedToday: '48209999999999999999',
        acceptedShardsToday: 31,
      },
    ],
  });
}

/** Everything as long as it may get. */
export function crowded(): Snapshot {
  const long = 'pneumonoultramicroscopicsilicovolcanoconiosis'.repeat(3);
  const most = (2n ** 256n - 1n).toString();
  const base = practising();
  const [practiceNumbers] = base.earnings;
  const { start } = today();
  const many = Array.from({ length: 2000 }, (_, index) => ({
    from: start + index * 40_000,
    to: start + index * 40_000 + 30_000,
    kind: index % 2 === 0 ? ('worked' as const) : ('aside' as const),
    reason: { key: 'reason.network-work' as const, params: { network: long } },
  }));
  return practising({
    version: '10.20.30-alpha.40',
    state: { name: 'waiting', reason: { key: 'reason.isolation-refused', params: { network: long } }, since: 0, until: Date.now() },
    isolation: {
      ...unsealed().isolation,
      reason: { key: 'isolation.bubblewrap-refused', params: { detail: long } },
      remedy: { key: 'isolation.bubblewrap-refused.container', params: { command: `docker run --security-opt ${long}` } },
    },
    hardware: {
      os: { platform: 'linux', name: long, release: long, arch: 'x64' },
      cpu: { model: long, cores: 256 },
      memory: { totalBytes: 2 ** 42 },
      machine: { formFactor: 'laptop', name: long, virtualMachine: null, hypervisor: long, container: null, wsl: false },
      power: { source: null, percent: null },
      gpus: [gpu({ name: long, model: long })],
      softwareAdapters: [{ vendor: null, name: 'llvmpipe (LLVM 15.0.6, 256 bits)' }],
      disk: { freeBytes: null },
      problems: [],
    },
    current: currentShard({ prompt: long, text: long, shardId: 'a'.repeat(96) }),
    recent: Array.from({ length: 50 }, (_, index) =>
      task({ shardId: `${'s'.repeat(90)}${index}`, state: 'rejected', reason: { key: 'reason.task-rejected', params: { detail: long } } }),
    ),
    earnings: [
      ...(practiceNumbers === undefined ? [] : [practiceNumbers]),
      {
        asset: 'eip155:1612/slip44:60',
        practice: false,
        symbol: 'W'.repeat(32),
        decimals: 0,
        expected: most,
        accepted: most,
        promised: most,
        paid: most,
        acceptedShards: 9e15,
        acceptedToday: most,
        acceptedShardsToday: 9e15,
      },
    ],
    day: { ...today(), spans: many },
  });
}
