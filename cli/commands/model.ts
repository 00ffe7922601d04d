import { resolve } from 'node:path';
import { HearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import type { AddedModel, CatalogueRow, HubAccess, ModelPlan, ModelProgress } from '../../core/contract/models.ts';
import { type Reach, reachAgent } from '../agent/reach.ts';
import { alignColumns } from '../terminal/columns.ts';
import { withProgress } from '../terminal/terminal.ts';
import type { World } from '../world.ts';
import type { Context, ExitCode } from './command.ts';

export interface AddOptions {
  source: string;
  file: string | null;
  /** Fetch without having shown what first. */
  yes: boolean;
  acceptMissingLicence: boolean;
}

const DEFAULT_HUB = 'https://huggingface.co';
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** Shows what a source has, with size and licence; fetches it once that was agreed to, and keeps it until it is removed. */
export async function runModelAdd({ world, terminal, dataDir }: Context, options: AddOptions): Promise<ExitCode> {
  const remote = isRemote(options.source);
  const source = remote ? options.source : resolve(world.cwd, options.source);
  const request = { source, file: options.file, hub: hubAccess(world.env) };
  const reach = await reachAgent(world, dataDir);
  let cancelling = false;
  const stopListening = world.signals.on(() => {
    if (!cancelling) terminal.note(message('cli.model.cancelling'));
    cancelling = true;
    // What it says doesn't matter: the adding ends with CANCELLED, or is over.
    reach.client.call('model.cancel', { source }).catch(() => undefined);
  });
  try {
    const plan = await withProgress(
      terminal,
      () => message('cli.progress.model-plan', { source }),
      reach.client.call('model.plan', request),
    );
    terminal.emit({ event: 'model.plan', ...plan });
    for (const line of planLines(plan, terminal.bold)) terminal.text(line);
    if (plan.licence === null && remote && !options.acceptMissingLicence) {
      throw new HearthlendError('MODEL_LICENCE_MISSING', { model: plan.name });
    }
    if (remote && !options.yes) await requireYes(world, terminal.json, planSize(plan));
    if (cancelling) throw new HearthlendError('CANCELLED');
    const pin = plan.origin.type === 'hub' ? plan.origin.revision : null;
    const model = await followed({ world, terminal, dataDir }, reach, source, plan, () =>
      reach.client.call('model.add', { ...request, pin, acceptMissingLicence: options.acceptMissingLicence }),
    );
    terminal.emit({ event: 'done', ...model });
    const name = { name: model.name, digest: model.digest.slice(0, 8), size: sizeText(model.bytes) };
    terminal.text(message('cli.model.added', name));
  } finally {
    stopListening();
    await reach.close();
  }
  return 0;
}

/** Somebody at the keyboard is asked; a script has to say --yes. @throws USAGE, CANCELLED */
async function requireYes(world: World, json: boolean, size: string): Promise<void> {
  if (json || !world.keyboard.present) throw new HearthlendError('USAGE', { detail: message('cli.model.agree', { size }) });
  const answer = await world.keyboard.ask(message('cli.model.ask', { size }), { secret: false });
  if (!/^y(es)?$/i.test(answer.trim())) throw new HearthlendError('CANCELLED');
}

async function followed(
  { terminal }: Context,
  reach: Reach,
  source: string,
  plan: ModelPlan,
  add: () => Promise<AddedModel>,
): Promise<AddedModel> {
  let latest: Omit<ModelProgress, 'source'> = { file: '', bytes: 0, totalBytes: plan.totalBytes };
  reach.client.on('model.progress', (progress) => {
    if (progress.source !== source) return;
    latest = progress;
    terminal.emit({ event: 'model.progress', ...progress });
  });
  await reach.client.call('app.watch', {});
  const line = () =>
    message('cli.progress.model-add', {
      file: latest.file,
      size: sizeText(latest.bytes),
      known: isSized(plan) ? 'yes' : 'no',
      total: sizeText(latest.totalBytes),
      percent: latest.totalBytes === 0 ? 0 : Math.floor((100 * latest.bytes) / latest.totalBytes),
    });
  return withProgress(terminal, line, add());
}

export async function runModelList({ world, terminal, dataDir }: Context, catalogue: boolean): Promise<ExitCode> {
  const reach = await reachAgent(world, dataDir);
  try {
    if (catalogue) {
      const rows = await reach.client.call('model.catalogue', {});
      for (const row of rows) terminal.emit(row);
      for (const line of catalogueLines(rows, terminal.bold)) terminal.text(line);
      return 0;
    }
    const models = await reach.client.call('model.list', {});
    for (const model of models) terminal.emit(model);
    if (models.length === 0) terminal.text(message('cli.model.none'));
    else for (const line of listLines(models, terminal.bold)) terminal.text(line);
  } finally {
    await reach.close();
  }
  return 0;
}

export async function runModelShow({ world, terminal, dataDir }: Context, name: string): Promise<ExitCode> {
  const reach = await reachAgent(world, dataDir);
  try {
    const model = await reach.client.call('model.show', { model: name });
    terminal.emit(model);
    const revision = model.origin.type === 'hub' ? model.origin.revision : '';
    terminal.text(terminal.bold(model.name));
    terminal.text(
      message('cli.model.facts', {
        digest: model.digest,
        revision,
        pinned: revision === '' ? 'no' : 'yes',
        licence: licenceText(model.licence),
      }),
    );
    for (const line of fileLines(model.files)) terminal.text(line);
  } finally {
    await reach.close();
  }
  return 0;
}

export async function runModelRemove({ world, terminal, dataDir }: Context, name: string): Promise<ExitCode> {
  const reach = await reachAgent(world, dataDir);
  try {
    const model = await reach.client.call('model.remove', { model: name });
    terminal.emit({ event: 'done', ...model });
    terminal.text(message('cli.model.removed', { name: model.name, size: sizeText(model.bytes) }));
  } finally {
    await reach.close();
  }
  return 0;
}

/** What names no path of this machine: a model of a hub, or an address. */
export function isRemote(source: string): boolean {
  return /^(hf:|[a-z][a-z0-9+.-]*:\/\/)/i.test(source);
}

/** How this user reaches hubs, by the names that huggingface_hub and curl give to it. Lower-case proxy settings go before the others, as there. */
export function hubAccess(env: NodeJS.ProcessEnv): HubAccess {
  const proxy: HubAccess['proxy'] = {};
  for (const name of ['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY'] as const) {
    const value = env[name.toLowerCase()] || env[name];
    if (value) proxy[name] = value;
  }
  return { endpoint: env.HF_ENDPOINT || DEFAULT_HUB, token: env.HF_TOKEN || null, proxy };
}

/** Whether its source tells how much there is to fetch. */
function isSized({ files }: ModelPlan): boolean {
  return files.every(({ bytes }) => bytes !== null);
}

function planSize(plan: ModelPlan): string {
  if (isSized(plan)) return sizeText(plan.totalBytes);
  return plan.totalBytes === 0 ? message('cli.model.size-unknown') : message('cli.model.size-least', { size: sizeText(plan.totalBytes) });
}

function planLines(plan: ModelPlan, bold: (text: string) => string): string[] {
  const revision = plan.origin.type === 'hub' ? plan.origin.revision : '';
  return [
    bold(plan.name),
    message('cli.model.plan', {
      licence: licenceText(plan.licence),
      revision,
      pinned: revision === '' ? 'no' : 'yes',
      size: planSize(plan),
    }),
    ...fileLines(plan.files),
  ];
}

function fileLines(files: ReadonlyArray<{ path: string; bytes: number | null; digest: string | null }>): string[] {
  const size = (bytes: number | null) => (bytes === null ? message('cli.model.unknown') : sizeText(bytes));
  return alignColumns(
    files.map(({ path, bytes, digest }) => [path, size(bytes), digest ?? message('cli.model.unknown')]),
    [1],
  );
}

function listLines(models: readonly AddedModel[], bold: (text: string) => string): string[] {
  const header = ['cli.model.digest', 'cli.model.size', 'cli.model.licence', 'cli.model.name'] as const;
  const rows = models.map(({ digest, bytes, licence, name }) => [digest.slice(0, 8), sizeText(bytes), licenceText(licence), name]);
  const [head = '', ...body] = alignColumns([header.map((key) => message(key)), ...rows], [1]);
  return [bold(head), ...body];
}

function catalogueLines(rows: readonly CatalogueRow[], bold: (text: string) => string): string[] {
  const header = [
    'cli.model.name',
    'cli.model.task',
    'cli.model.disk',
    'cli.model.memory',
    'cli.model.licence',
    'cli.model.fits',
    'cli.model.add',
  ] as const;
  const cells = rows.map((row) => [
    row.name,
    row.task,
    sizeText(row.diskBytes),
    sizeText(row.memoryBytes),
    row.licence,
    message(`cli.model.fits.${row.obstacle ?? 'yes'}`),
    `hf:${row.repository}#${row.file}`,
  ]);
  const [head = '', ...body] = alignColumns([header.map((key) => message(key)), ...cells], [2, 3]);
  return [bold(head), ...body, message('cli.model.catalogue-note')];
}

function licenceText(licence: string | null): string {
  return licence ?? message('cli.model.no-licence');
}

/** A size in the largest unit of which there is at least one. */
export function sizeText(bytes: number): string {
  const power = Math.min(UNITS.length - 1, bytes < 1 ? 0 : Math.floor(Math.log10(bytes) / 3));
  return message('cli.model.bytes', { size: bytes / 1000 ** power, unit: UNITS[power] ?? 'B', whole: power === 0 ? 'yes' : 'no' });
}
