import { join } from 'node:path';
import { message, messageOf } from '../../core/contract/messages.ts';
import type { OperatorCallInput } from '../../core/contract/operating.ts';
import { askCoordinator } from '../operator/reach.ts';
import { OPERATOR_FOLDER } from '../operator/request.ts';
import { alignColumns } from '../terminal/columns.ts';
import { withProgress } from '../terminal/terminal.ts';
import type { Context, ExitCode } from './command.ts';

const folderOf = ({ dataDir }: Context) => join(dataDir, OPERATOR_FOLDER);
/** As many digits of a model as tell one from another. */
const SHOWN_DIGITS = 12;

/** Has the running coordinator set what its audits tolerate, by real work. */
export async function runCalibrate(context: Context, choice: OperatorCallInput<'calibrate'>): Promise<ExitCode> {
  const { terminal } = context;
  const asked = askCoordinator(folderOf(context), 'calibrate', choice);
  const { calibrations, left } = await withProgress(terminal, () => message('coordinator.calibrating'), asked);
  for (const calibration of calibrations) terminal.emit({ event: 'calibration', ...calibration });
  for (const each of left) {
    terminal.emit({ event: 'uncalibrated', ...each });
    const between = each.claimed === null ? '' : ` ${each.claimed}/${each.reference}`;
    terminal.text(
      message('coordinator.uncalibrated', { model: `${each.model.slice(0, SHOWN_DIGITS)}${between}`, reason: messageOf(each.reason) }),
    );
  }
  if (calibrations.length === 0) {
    terminal.text(message('coordinator.calibrated.none'));
    return 1;
  }
  const columns = ['model', 'backends', 'distance', 'draw', 'logit', 'comparisons', 'worst'] as const;
  const rows = calibrations.map(({ model, claimed, reference, distance, draw, logit, comparisons, worst }) => [
    model.slice(0, SHOWN_DIGITS),
    `${claimed}/${reference}`,
    ...[distance, draw, logit].map((value) => value.toExponential(1)),
    String(comparisons),
    worst.toExponential(1),
  ]);
  const [head = '', ...body] = alignColumns(
    [columns.map((column) => message(`coordinator.calibrated.${column}`)), ...rows],
    [2, 3, 4, 5, 6],
  );
  for (const line of [terminal.bold(head), ...body]) terminal.text(line);
  return 0;
}

/** What refused results were judged by; with `--json` whole, one record a line. */
export async function runAppeals(context: Context): Promise<ExitCode> {
  const { terminal } = context;
  const { appeals } = await askCoordinator(folderOf(context), 'appeals', {});
  for (const appeal of appeals) terminal.emit({ event: 'appeal', ...appeal });
  if (appeals.length === 0) {
    terminal.text(message('coordinator.appeals.none'));
    return 0;
  }
  const columns = ['at', 'worker', 'shard', 'detail'] as const;
  const rows = appeals.map(({ at, worker, shardId, attempt, detail }) => [
    new Date(at).toISOString(),
    worker,
    `${shardId}#${attempt}`,
    detail,
  ]);
  const [head = '', ...body] = alignColumns([columns.map((column) => message(`coordinator.appeals.${column}`)), ...rows]);
  for (const line of [terminal.bold(head), ...body]) terminal.text(line);
  return 0;
}

/** Ends a machine's suspension. */
export async function runReinstate(context: Context, worker: string): Promise<ExitCode> {
  const { terminal } = context;
  const { suspended } = await askCoordinator(folderOf(context), 'reinstate', { worker });
  terminal.emit({ event: 'reinstated', worker, suspended });
  terminal.text(message(suspended ? 'coordinator.reinstated' : 'coordinator.not-reinstated', { worker }));
  return suspended ? 0 : 1;
}
