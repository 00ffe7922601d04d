import { expect, test } from 'vitest';
import { createMetrics } from '../../coordinator/metrics/metrics.ts';

test('counters, gauges and histograms are written as Prometheus reads them', async () => {
  const metrics = createMetrics();
  const asked = metrics.counter('asked_total', 'What was asked.\nAnd more.');
  const took = metrics.histogram('took_seconds', 'How long.');
  metrics.gauge('waiting', 'What waits.', () => [{ value: 3, labels: { kind: 'a "b"\\\n' } }, { value: null }]);
  asked();
  asked({ call: 'lease' }, 2);
  took(0.003, { call: 'lease' });
  took(0.3, { call: 'lease' });
  took(99, { call: 'lease' });
  const lines = (await metrics.text()).split('\n');
  expect(lines).toEqual(
    expect.arrayContaining([
      '# HELP asked_total What was asked.\\nAnd more.',
      '# TYPE asked_total counter',
      'asked_total 1',
      'asked_total{call="lease"} 2',
      'took_seconds_bucket{call="lease",le="0.005"} 1',
      'took_seconds_bucket{call="lease",le="0.5"} 2',
      'took_seconds_bucket{call="lease",le="+Inf"} 3',
      'took_seconds_count{call="lease"} 3',
      'waiting{kind="a \\"b\\"\\\\\\n"} 3',
    ]),
  );
  expect(lines.filter((line) => line.startsWith('waiting'))).toHaveLength(1);
});

test('labels that vary without end take no memory without end', async () => {
  const metrics = createMetrics();
  const counter = metrics.counter('x_total', 'x');
  for (let at = 0; at < 10_000; at += 1) counter({ who: String(at) });
  const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith('x_total'));
  expect(lines.length).toBeLessThan(502);
  expect(lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)).toBe(10_000);
});
