import type { BackendReport } from '../../core/contract/backends.ts';
import type { HardwareReport } from '../../core/contract/hardware.ts';
import type { IsolationReport } from '../../core/contract/isolation.ts';
import { withoutNumbersOfOne } from '../../core/contract/numbers-of-one.ts';
import type { TelemetrySample } from '../../core/contract/telemetry.ts';

interface Described {
  version: string;
  backends: BackendReport;
  hardware: HardwareReport;
  isolation: IsolationReport;
  /** What was measured last; null where nothing was. */
  sample: TelemetrySample | null;
}

/**
 * What a bug report needs to know of this machine, as text; the field's terms, since it is read by those who write the program. What is unknown
 * stays null.
 */
export function reportText({ version, hardware, backends, isolation, sample }: Described): string {
  const { probe, ...walls } = isolation;
  const attempts =
    probe === null ? null : { at: new Date(probe.at).toISOString(), attempts: probe.attempts.length, through: through(probe) };
  const parts = { hearthlend: version, ...hardware, backends, isolation: { ...walls, probe: attempts }, sample };
  return withoutNumbersOfOne(
    Object.entries(parts)
      .map(([name, value]) => `${name}: ${JSON.stringify(value, null, 1).replaceAll(/\n\s*/g, ' ')}`)
      .join('\n'),
  );
}

function through(probe: NonNullable<IsolationReport['probe']>): string[] {
  return probe.attempts.filter((attempt) => attempt.succeeded).map(({ kind, name }) => `${kind} ${name}`);
}
