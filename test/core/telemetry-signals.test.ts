import { expect, onTestFinished, test } from 'vitest';
import type { Decision } from '../../core/contract/policy.ts';
import { Rules } from '../../core/contract/rules.ts';
import type { GpuSample, TelemetrySample } from '../../core/contract/telemetry.ts';
import { createPolicy } from '../../core/policy/controller.ts';
import { telemetrySignals } from '../../core/telemetry-signals.ts';

const GPU = '0000:01:00.0';

function sample(change: Partial<GpuSample>): TelemetrySample {
  const gpu = { gpu: GPU, temperatureCelsius: null, powerWatts: null, throttled: null, ...change } as GpuSample;
  return { at: 1, cpu: {} as TelemetrySample['cpu'], gpus: [gpu] };
}

test('what the machine tells of its heat is what the rules pause by, and go on by once it has cooled', async () => {
  const heat = telemetrySignals();
  let decided: readonly Decision[] = [];
  const rules = Rules.parse({ temperature: { pauseAboveC: 85, resumeBelowC: 70 } });
  const policy = createPolicy({
    sources: [heat.source],
    devices: () => [GPU],
    rules: () => rules,
    working: () => true,
    clock: Date.now,
    steady: () => performance.now(),
    utcOffsetMinutes: () => 0,
    log: () => undefined,
    onDecisions: (decisions) => {
      decided = decisions;
    },
  });
  // Nobody listens yet.
  heat.tell(sample({ temperatureCelsius: 99 }));
  policy.start();
  onTestFinished(() => policy.close());
  heat.tell(sample({ temperatureCelsius: 60, powerWatts: 120, throttled: [] }));
  expect(decided).toMatchObject([{ device: GPU, act: 'run' }]);
  expect(policy.status().signals.gpus[GPU]).toMatchObject({
    temperatureC: { value: 60 },
    powerWatts: { value: 120 },
    throttled: { value: { thermal: false, power: false } },
  });
  heat.tell(sample({ temperatureCelsius: 91, throttled: ['thermal'] }));
  expect(decided).toMatchObject([{ device: GPU, act: 'pause', rules: ['temperature'] }]);
  // Between the two bounds it stays as it is.
  heat.tell(sample({ temperatureCelsius: 78 }));
  expect(decided).toMatchObject([{ act: 'pause' }]);
  heat.tell(sample({ temperatureCelsius: null }));
  expect(policy.status().signals.gpus[GPU]).toMatchObject({ temperatureC: null, powerWatts: null, throttled: null });
  heat.tell({ ...sample({}), gpus: [] });
});
