import type { AppPorts } from './app-ports.ts';
import type { Settings } from './contract/settings.ts';
import type { ShardEnergy, TelemetrySample } from './contract/telemetry.ts';
import { findNvidiaSmi, nvidiaSource } from './telemetry/nvidia.ts';
import { createTelemetry, type Telemetry } from './telemetry/telemetry.ts';
import type { Workers } from './workers.ts';

interface TelemetryParts {
  ports: Pick<AppPorts, 'clock'>;
  workers: Pick<Workers, 'usage'>;
  settings: { current: Settings };
  onSample(sample: TelemetrySample): void;
  onEnergies(energies: ShardEnergy[]): void;
}

/** The live eye on this machine, told of our workers by the supervisors. */
export function openTelemetry({ ports, workers, settings, onSample, onEnergies }: TelemetryParts): Telemetry {
  const program = findNvidiaSmi(process.platform, process.env);
  return createTelemetry({
    clock: ports.clock,
    workers: () => workers.usage(),
    nvidia: program === null ? null : nvidiaSource({ program }),
    loadWatts: () => settings.current.loadWatts,
    onSample,
    onEnergies,
  });
}
