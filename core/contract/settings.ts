import { z } from 'zod';
import { BackendName } from './backends.ts';
import { CHAIN_PRESETS, ChainConfig } from './chain.ts';
import { GpuId } from './hardware.ts';
import { IsolationLevel } from './isolation.ts';
import { ClaimSettings } from './payments.ts';
import { PriceSettings } from './prices.ts';
import { Rules, RulesChange } from './rules.ts';

const gpusDefault = { use: null, memoryShare: 0.8, backend: 'auto' as const };

/** What computes: the native worker, a page in a browser's sandbox, or whichever is right for this machine. */
const WorkerKind = z.enum(['auto', 'native', 'window']);
export type WorkerKind = z.infer<typeof WorkerKind>;

/** What the user decides, in settings.json. Every field has a default, so an older file always reads. */
export const Settings = z.strictObject({
  /** Isolation levels under which strangers' work may run here. Practice and own jobs also run under `process`. */
  acceptedIsolation: z.array(IsolationLevel).default(['os', 'chromium']),
  practice: z
    .strictObject({
      shardsPerDay: z.int().min(0).max(1_000_000).default(200),
      minutesPerDay: z.int().min(0).max(1440).default(10),
    })
    .default({ shardsPerDay: 200, minutesPerDay: 10 }),
  worker: z
    .strictObject({
      kind: WorkerKind.default('auto'),
      /** Threads of a shard; null: half the cores for practice, all but one for other work. */
      threads: z.int().min(1).max(256).nullable().default(null),
      /** Memory that loaded models may take together. */
      modelMemoryBytes: z
        .int()
        .min(1 << 20)
        .default(4 * 2 ** 30),
      gpus: z
        .strictObject({
          /** GPUs that may compute; null: all of them. */
          use: z.array(GpuId).max(128).nullable().default(null),
          /** Share of a GPU's memory that loaded models may take. */
          memoryShare: z.number().min(0.05).max(1).default(0.8),
          /** `auto`: the best that is proven on each GPU. `cpu`: no GPU computes. */
          backend: z.enum(['auto', ...BackendName.options]).default('auto'),
        })
        .default(gpusDefault),
    })
    .default({ kind: 'auto', threads: null, modelMemoryBytes: 4 * 2 ** 30, gpus: gpusDefault }),
  models: z
    .strictObject({
      /** Disk that models may take together; those that nobody uses go first. */
      diskBytes: z
        .int()
        .min(1 << 20)
        .default(50 * 2 ** 30),
    })
    .default({ diskBytes: 50 * 2 ** 30 }),
  requests: z
    .strictObject({
      /** Port of the loopback on which programs with a key are answered; 0: any free one. */
      port: z.int().min(0).max(65_535).default(8477),
    })
    .default({ port: 8477 }),
  wallet: z
    .strictObject({
      /** The wallet locks itself after so long without use. */
      autoLockMinutes: z.int().min(1).max(1440).default(15),
    })
    .default({ autoLockMinutes: 15 }),
  /** Chains on which this machine is paid. */
  chains: z
    .array(ChainConfig)
    .max(16)
    .default([...CHAIN_PRESETS]),
  claims: ClaimSettings.prefault({}),
  /** Where prices of tokens come from, to see what was earned in a currency as well: nowhere by default. */
  prices: PriceSettings.default([]),
  rules: Rules.prefault({}),
  /** What the machine draws under load (W), as its owner measured it at the plug; null: not known. Used where no sensor tells. */
  loadWatts: z.number().min(1).max(5000).nullable().default(null),
  theme: z.enum(['system', 'dark', 'light']).default('system'),
  /** The least grave lines that the log takes. Changes at once. */
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  /** Whether the desktop app starts with the user's session. Without a window: it waits in the tray. */
  startAtLogin: z.boolean().default(false),
});
export type Settings = z.infer<typeof Settings>;

const fields = Settings.shape;

/** Some fields of the settings, to be changed. Without defaults: `Settings.partial()` would fill in those that are left out. */
export const SettingsChange = z.strictObject({
  acceptedIsolation: fields.acceptedIsolation.unwrap().optional(),
  practice: fields.practice.unwrap().optional(),
  worker: fields.worker.unwrap().optional(),
  models: fields.models.unwrap().optional(),
  requests: fields.requests.unwrap().optional(),
  wallet: fields.wallet.unwrap().optional(),
  chains: fields.chains.unwrap().optional(),
  claims: ClaimSettings.partial().optional(),
  prices: fields.prices.unwrap().optional(),
  rules: RulesChange.optional(),
  loadWatts: fields.loadWatts.unwrap().optional(),
  theme: fields.theme.unwrap().optional(),
  logLevel: fields.logLevel.unwrap().optional(),
  startAtLogin: fields.startAtLogin.unwrap().optional(),
});
export type SettingsChange = z.infer<typeof SettingsChange>;
