import { type MessageKey, message, messageOf } from '../../core/contract/messages.ts';
import { withoutNumbersOfOne } from '../../core/contract/numbers-of-one.ts';
import type { CallOutput } from '../../core/contract/rpc.ts';
import { reachAgent } from '../agent/reach.ts';
import { alignColumns } from '../terminal/columns.ts';
import { withProgress } from '../terminal/terminal.ts';
import type { Context, ExitCode } from './command.ts';
import { backendRows } from './doctor-backends.ts';
import { machineRows } from './doctor-machine.ts';

/** Fails where the sandbox did not hold; a machine without one works, and is told what it lacks. */
export async function runDoctor({ world, terminal, dataDir }: Context, isolation: boolean): Promise<ExitCode> {
  const reach = await reachAgent(world, dataDir);
  try {
    const asking = reach.client.call('doctor.report', { isolation });
    const report = await withProgress(terminal, () => message('cli.progress.examining'), asking);
    terminal.emit(report);
    // It ends up in bug reports.
    for (const line of doctorLines(report, isolation)) terminal.text(withoutNumbersOfOne(line));
    return report.isolation.reason?.key === 'isolation.probe-broken' ? 1 : 0;
  } finally {
    await reach.close();
  }
}

function doctorLines({ hardware, computing, isolation }: CallOutput<'doctor.report'>, showAttempts: boolean): string[] {
  const row = (key: MessageKey, value: string) => [message(key), value];
  const rows = [
    ...machineRows(hardware),
    ...backendRows({ hardware, computing }),
    row('cli.doctor.safety', message(`isolation.${isolation.level}`)),
    ...(isolation.reason === null ? [] : [row('cli.doctor.why', messageOf(isolation.reason))]),
    ...(isolation.remedy === null ? [] : [row('cli.doctor.remedy', messageOf(isolation.remedy))]),
    row('cli.doctor.probe', probeWords(isolation.probe)),
  ];
  const attempts = showAttempts ? (isolation.probe?.attempts ?? []) : [];
  const attemptRows = attempts.map(({ name, kind, succeeded, wall, detail }) => [
    message(succeeded ? 'cli.doctor.broke-out' : 'cli.doctor.held'),
    kind,
    name,
    wall === undefined ? detail : message(`isolation.wall.${wall}`),
  ]);
  return [...alignColumns(rows), ...(attemptRows.length === 0 ? [] : ['', ...alignColumns(attemptRows)])];
}

function probeWords(probe: CallOutput<'doctor.report'>['isolation']['probe']): string {
  if (probe === null) return message('cli.doctor.not-probed');
  const broken = probe.attempts.filter((attempt) => attempt.succeeded).length;
  // What the bare kernel denies to an ordinary user says nothing of the walls.
  const attempts = probe.attempts.filter((attempt) => attempt.wall !== 'kernel').length;
  return message('cli.doctor.probed', { attempts, broken });
}
