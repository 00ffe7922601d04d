import type { SignalContext, SignalSource } from './contract/policy.ts';
import type { TelemetrySample } from './contract/telemetry.ts';

/** Each GPU's heat and power as the rules are decided from them, by what the machine tells anyway while it works. */
export function telemetrySignals(): { source: SignalSource; tell(sample: TelemetrySample): void } {
  let context: SignalContext | null = null;
  return {
    source: {
      name: 'telemetry',
      start(given) {
        context = given;
        return () => {
          context = null;
        };
      },
    },
    tell({ gpus }) {
      if (gpus.length === 0) return;
      const readings = gpus.map(({ gpu, temperatureCelsius, powerWatts, throttled }) => {
        const held = throttled === null ? null : { thermal: throttled.includes('thermal'), power: throttled.includes('power') };
        return [gpu, { temperatureC: temperatureCelsius, powerWatts, throttled: held }] as const;
      });
      context?.publish({ gpus: Object.fromEntries(readings) });
    },
  };
}
