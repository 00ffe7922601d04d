import type { HardwareReport } from '../../core/contract/hardware.ts';
import { memoryText } from '../../core/contract/hardware-words.ts';
import { message } from '../../core/contract/messages.ts';
import type {
  CpuSample,
  GpuSample,
  ShardEnergy,
  TelemetryHistory,
  TelemetrySample,
  ThrottleReason,
} from '../../core/contract/telemetry.ts';
import { useNow } from '../frame/use-now.ts';
import { timeText } from '../words/times.ts';
import { Gauge } from './gauge.tsx';
import { celsiusText, shareText, wattsText } from './measures.ts';
import type { Reading } from './trace.ts';

/** Samples come once a second while it works: after so long without one, it doesn't. */
const LIVE_MS = 5000;
const CLOCK_MS = 1000;
/** What the top of a temperature's picture stands for: few processors or GPUs are allowed to be hotter. */
const HOT_C = 100;

/** What the machine does right now, with its last minutes. At rest nothing is measured, so that a sleeping GPU sleeps on. */
export function Live({ telemetry, hardware }: { telemetry: TelemetryHistory; hardware: HardwareReport | null }): React.ReactNode {
  const now = useNow(CLOCK_MS);
  const { samples, energies } = telemetry;
  const last = samples.at(-1);
  const live = last !== undefined && now - last.at <= LIVE_MS;
  return (
    <section className="card live" aria-labelledby="live">
      <div className="head">
        <h2 id="live">{message('pc.live')}</h2>
        <span role="status">
          {!live && last !== undefined && message('pc.live.at-rest', { time: timeText(last.at) })}
          {live && energyWords(energies)}
        </span>
      </div>
      {last === undefined ? (
        <p className="empty">{message('pc.live.nothing')}</p>
      ) : (
        <div className={live ? 'devices' : 'devices old'}>
          {last.gpus.map((sample) => (
            <GpuGauges key={sample.gpu} sample={sample} samples={samples} end={last.at} name={gpuName(hardware, sample.gpu)} />
          ))}
          <CpuGauges sample={last.cpu} samples={samples} end={last.at} />
        </div>
      )}
    </section>
  );
}

function gpuName(hardware: HardwareReport | null, id: string): string {
  return hardware?.gpus.find((gpu) => gpu.id === id)?.name ?? id;
}

interface GaugesProps<T> {
  sample: T;
  samples: readonly TelemetrySample[];
  end: number;
}

function GpuGauges({ sample, samples, end, name }: GaugesProps<GpuSample> & { name: string }): React.ReactNode {
  const history = (pick: (each: GpuSample) => number | null): Reading[] =>
    samples.map(({ at, gpus }) => {
      const found = gpus.find(({ gpu }) => gpu === sample.gpu);
      return { at, value: found === undefined ? null : pick(found) };
    });
  const { memoryUsedBytes, memoryTotalBytes, memoryOursBytes, powerLimitWatts, fan } = sample;
  const powerReadings = history(({ powerWatts }) => powerWatts);
  return (
    <Device name={name} throttled={sample.throttled}>
      <Gauge
        ember
        name={message('pc.live.load')}
        value={shareText(sample.utilization)}
        readings={history((each) => each.utilization)}
        max={1}
        end={end}
      />
      <Gauge
        name={message('pc.live.temperature')}
        value={celsiusText(sample.temperatureCelsius)}
        note={fan === null ? null : message('pc.live.fan', { percent: Math.round(fan * 100) })}
        readings={history((each) => each.temperatureCelsius)}
        max={HOT_C}
        end={end}
      />
      <Gauge
        name={message('pc.live.power')}
        value={wattsText(sample.powerWatts)}
        note={powerLimitWatts === null ? null : message('pc.live.of', { most: wattsText(powerLimitWatts) ?? '' })}
        readings={powerReadings}
        max={powerLimitWatts ?? highest(powerReadings)}
        end={end}
      />
      <Gauge
        name={message('pc.live.memory')}
        value={memoryUsedBytes === null ? null : memoryText(memoryUsedBytes)}
        note={memoryWords(memoryTotalBytes, memoryOursBytes)}
        readings={history((each) => each.memoryUsedBytes)}
        max={memoryTotalBytes ?? highest(history((each) => each.memoryUsedBytes))}
        end={end}
      />
    </Device>
  );
}

function CpuGauges({ sample, samples, end }: GaugesProps<CpuSample>): React.ReactNode {
  const history = (pick: (each: CpuSample) => number | null): Reading[] => samples.map(({ at, cpu }) => ({ at, value: pick(cpu) }));
  const { workerCores, workerMemoryBytes, memoryUsedBytes, memoryTotalBytes } = sample;
  const power = history(({ powerWatts }) => powerWatts);
  return (
    <Device name={message('pc.live.cpu')} throttled={sample.throttled}>
      <Gauge
        ember
        name={message('pc.live.load')}
        value={shareText(sample.utilization)}
        note={workerCores === null ? null : message('pc.live.cores', { cores: Math.round(workerCores * 10) / 10 })}
        readings={history((each) => each.utilization)}
        max={1}
        end={end}
      />
      <Gauge
        name={message('pc.live.temperature')}
        value={celsiusText(sample.temperatureCelsius)}
        readings={history((each) => each.temperatureCelsius)}
        max={HOT_C}
        end={end}
      />
      <Gauge name={message('pc.live.power')} value={wattsText(sample.powerWatts)} readings={power} max={highest(power)} end={end} />
      <Gauge
        name={message('pc.live.memory')}
        value={memoryUsedBytes === null ? null : memoryText(memoryUsedBytes)}
        note={memoryWords(memoryTotalBytes, workerMemoryBytes)}
        readings={history((each) => each.memoryUsedBytes)}
        max={memoryTotalBytes}
        end={end}
      />
    </Device>
  );
}

function Device({
  name,
  throttled,
  children,
}: {
  name: string;
  throttled: ThrottleReason[] | null;
  children: React.ReactNode;
}): React.ReactNode {
  return (
    <div className="device">
      <h3>{name}</h3>
      {throttled !== null && throttled.length > 0 && (
        <p className="throttled">
          {message('pc.live.throttled', { why: throttled.map((reason) => message(`pc.throttled.${reason}`)).join(', ') })}
        </p>
      )}
      <dl className="gauges">{children}</dl>
    </div>
  );
}

function memoryWords(totalBytes: number | null, oursBytes: number | null): string | null {
  const total = totalBytes === null ? null : message('pc.live.of', { most: memoryText(totalBytes) });
  const ours = oursBytes === null ? null : message('pc.live.ours', { size: memoryText(oursBytes) });
  return total === null || ours === null ? (total ?? ours) : message('pc.join', { first: total, second: ours });
}

/** The top of a picture that has none of its own. */
function highest(readings: readonly Reading[]): number {
  return Math.max(1, ...readings.map(({ value }) => value ?? 0));
}

/** What a task takes, as the middle one of the last; an estimate is written as one. */
function energyWords(energies: readonly ShardEnergy[]): string {
  const joules = energies.map((each) => each.joules).sort((a, b) => a - b);
  const middle = joules[Math.floor(joules.length / 2)];
  if (middle === undefined) return '';
  const size = new Intl.NumberFormat('en', { maximumSignificantDigits: 2 }).format(middle);
  return message(energies.some(({ estimated }) => estimated) ? 'pc.live.energy-estimated' : 'pc.live.energy', { joules: size });
}
