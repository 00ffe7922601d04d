import { createWriteStream } from 'node:fs';
import { totalmem } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { App } from './app.ts';
import { approvedHandlers } from './approved.ts';
import { balanceHandlers } from './balances.ts';
import type { openBenchmark } from './benchmark-ports.ts';
import { withBackends } from './contract/backends.ts';
import { HearthlendError } from './contract/errors.ts';
import type { Handlers } from './contract/rpc.ts';
import { decodeSafetensors } from './contract/safetensors.ts';
import type { Settings } from './contract/settings.ts';
import type { Earnings } from './earnings-handlers.ts';
import type { Engine } from './engine.ts';
import type { IdentityCalls } from './identities.ts';
import { writeNpz } from './jobs/npz.ts';
import { isText, prepareGeneration, prepareJob } from './jobs/prepare.ts';
import { splitJob } from './jobs/split.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { Log } from './log/log.ts';
import type { Models } from './model-handlers.ts';
import { changedRules } from './policy/presets.ts';
import { runningPrograms } from './policy/running-programs.ts';
import { loadAddedModel, loadOwnModel } from './prompt-model.ts';
import type { Requests } from './requests.ts';
import type { Sending } from './sending.ts';
import { saveSettings } from './settings/settings.ts';
import { openSplits, SPLITS_FOLDER } from './splits.ts';
import { decoderOf, openSplitting, ownedGraph } from './splitting.ts';
import type { Wallet } from './wallet/wallet.ts';
import { walletHandlers } from './wallet-handlers.ts';

const MAX_PAUSES = 1000;

interface HandlerParts {
  dataDir: string;
  engine: Engine;
  ledger: Ledger;
  models: Models;
  requests: Requests;
  settings: { current: Settings };
  settingsPath: string;
  wallet: Wallet;
  sending: Pick<Sending, 'handlers'>;
  identities: Pick<Handlers, IdentityCalls>;
  benchmark: ReturnType<typeof openBenchmark>;
  earnings: Earnings;
  log: Log;
}

/** What stands behind each call of the RPC table: the features, asked. */
export function createHandlers({
  dataDir,
  engine,
  ledger,
  models,
  requests,
  settings,
  settingsPath,
  wallet,
  sending,
  identities,
  benchmark,
  earnings,
  log,
}: HandlerParts): App['handlers'] {
  const { coordinator, workers, screen } = engine;
  const splitting = openSplitting({
    splits: openSplits(join(dataDir, SPLITS_FOLDER), () => settings.current.models.diskBytes),
    reference: workers.reference,
    modelMemoryBytes: () => settings.current.worker.modelMemoryBytes,
  });

  async function knownJob(jobId: string) {
    const job = await coordinator.job(jobId);
    if (job === null) throw new HearthlendError('JOB_UNKNOWN', { job: jobId });
    return job;
  }

  return {
    ...walletHandlers(wallet),
    ...engine.payments.handlers,
    ...sending.handlers,
    ...balanceHandlers({ payments: engine.payments, wallet }),
    ...identities,
    ...approvedHandlers({ wallet, sending, identities }),
    async 'app.watch'() {
      void engine.hardware();
      return screen.snapshot();
    },
    async 'work.pause'({ forMs, untilIdle, finish }) {
      if (finish === true) engine.policy.order({ order: 'finish' });
      else if (untilIdle === true) engine.policy.order({ order: 'pause-until-idle' });
      else engine.policy.pause(forMs);
      await engine.settled();
      return {};
    },
    async 'work.resume'() {
      engine.policy.order(null);
      return {};
    },
    'work.start': async ({ forMs }) => engine.policy.begin(forMs),
    'policy.status': async () => ({ ...engine.policy.status(), powerLimits: engine.powerLimits.state() }),
    'policy.test': async ({ signals, rules }) => ({
      decisions: engine.policy.test(signals, changedRules(settings.current.rules, rules)),
    }),
    'policy.programs': () => runningPrograms(process.platform),
    'policy.history': async ({ from, to }) => ledger.pauses(from, to, MAX_PAUSES),
    async 'practice.extend'({ shards }) {
      coordinator.extendPractice(shards);
      screen.touch('practice', 'state');
      return {};
    },
    'prompt.ask': (question) => engine.prompts.ask(question),
    async 'prompt.run'({ model, ...question }) {
      if (isAbsolute(model)) return engine.prompts.ask(question, await loadOwnModel(model));
      return models.describeFor(model, async (describe) => engine.prompts.ask(question, await loadAddedModel(await describe())));
    },
    'job.list': () => coordinator.jobs(),
    'job.show': ({ jobId }) => knownJob(jobId),
    async 'job.cancel'({ jobId }) {
      await knownJob(jobId);
      return coordinator.cancelJob(jobId);
    },
    async 'job.submit'({ model, inputs, threads, wallMs, stages, maxNewTokens, split }) {
      const plan = { modelPath: model, inputsPath: inputs, threads, wallMs, ...(maxNewTokens === undefined ? {} : { maxNewTokens }) };
      return models.describeFor(model, async (describe) => {
        const owned = await ownedGraph(model, describe);
        const ports = { describeModel: async () => owned.described, memoryBytes: totalmem() };
        const text = (await isText(plan, owned.described.inputs)) ? await decoderOf(owned) : null;
        const request = text === null ? await prepareJob(plan, ports) : await prepareGeneration(plan, text, ports);
        // The same job submitted again is the same job: it is taken up where it was left.
        const order = { id: 'same' };
        if (request.kind === 'onnx.run' && stages === undefined) {
          return coordinator.submitJob(splitJob(request, owned.described, split ?? null), order);
        }
        if (stages === undefined) return coordinator.submitJob(request, order);
        const held = await splitting.kept(owned, stages);
        return coordinator.submitJob({ ...request, split: held }, order).finally(() => held.release());
      });
    },
    'model.split': ({ model, stages, out, inputs }) =>
      models.describeFor(model, async (describe) => splitting.split(await ownedGraph(model, describe), stages, out, inputs ?? null)),
    async 'job.save'({ jobId, outputs }) {
      await knownJob(jobId);
      const tensors = decodeSafetensors(await coordinator.outputs(jobId));
      const bytes = await writeNpz(outputs, tensors);
      return { tensors: tensors.size, bytes };
    },
    ...models.handlers,
    ...requests.handlers,
    ...benchmark.handlers,
    ...engine.networks.handlers,
    ...earnings.handlers,
    'earnings.summary': async () => screen.snapshot().earnings,
    async 'ledger.verify'() {
      const verification = await ledger.verify();
      if (!verification.ok) engine.distrustLedger();
      return verification;
    },
    async 'ledger.export'({ format, from, to, path, tax }) {
      if (tax) return { rows: await earnings.exportTax(path, from, to) };
      let rows = 0;
      const counted = function* () {
        for (const row of ledger.export(format, from, to)) {
          rows += 1;
          yield row;
        }
      };
      try {
        await pipeline(Readable.from(counted()), createWriteStream(path, { mode: 0o600 }));
      } catch (cause) {
        if (cause instanceof HearthlendError) throw cause;
        throw new HearthlendError('FILE_UNWRITABLE', { path, detail: (cause as Error).message }, { cause });
      }
      // The first row of a CSV file names its columns.
      return { rows: Math.max(0, format === 'csv' ? rows - 1 : rows) };
    },
    async 'doctor.report'({ isolation }) {
      const proven = engine.hardware().then(async (hardware) => ({ hardware, backends: await workers.prove(hardware, true) }));
      const [{ hardware, backends }, report] = await Promise.all([proven, isolation ? workers.probe() : workers.isolation()]);
      const { workers: computing, reason } = backends;
      return { hardware: withBackends(hardware, backends), computing: { workers: computing, reason }, isolation: report };
    },
    'telemetry.history': async () => engine.telemetry.history(),
    'settings.get': async () => settings.current,
    async 'settings.set'({ rules, claims, ...change }) {
      const next = { ...settings.current, ...definedFields(change) };
      if (claims !== undefined) next.claims = { ...next.claims, ...definedFields(claims) };
      if (rules !== undefined) next.rules = changedRules(next.rules, rules);
      saveSettings(settingsPath, next);
      settings.current = next;
      engine.policy.changed();
      await workers.choose();
      log.setLevel?.(next.logLevel);
      return next;
    },
  };
}

/** The fields that are there: an optional one that is undefined must not erase a setting. */
function definedFields<T extends object>(change: T): { [F in keyof T]?: Exclude<T[F], undefined> } {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)) as {
    [F in keyof T]?: Exclude<T[F], undefined>;
  };
}
