import { type Decision, type PauseRecord, type PolicyStatus, Signals } from '../../core/contract/policy.ts';

export function decision(fields: Partial<Decision> = {}): Decision {
  return {
    device: '0000:01:00.0',
    act: 'run',
    duty: 1,
    reason: { key: 'policy.allowed', params: {} },
    rules: [],
    overridden: [],
    until: null,
    graceMs: 0,
    ...fields,
  };
}

export function policyStatus(decisions: Decision[] = [decision()], signals: object = {}): PolicyStatus {
  const status = { signals: Signals.parse({ now: 1, utcOffsetMinutes: 0, steadyMs: 1000, ...signals }), decisions, powerLimits: [] };
  return status;
}

export function pause(fields: Partial<PauseRecord> = {}): PauseRecord {
  const from = Date.now() - 3_600_000;
  return {
    from,
    to: from + 1_500_000,
    reason: { key: 'policy.programs', params: { name: 'Cyberpunk 2077', more: 0, seconds: 60 } },
    yieldMs: 41.2,
    freed: {
      memory: { bytes: 2 ** 30, leftBytes: 0, by: 'process' },
      vram: [{ gpu: '0000:01:00.0', bytes: 7 * 2 ** 30, leftBytes: 0, by: 'process' }],
    },
    ...fields,
  };
}
