import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { type Asked, Pipeline } from '../../../core/supervisor/pipeline.ts';

/** What was asked, with everything that it was told. */
class Noted implements Asked {
  readonly told: string[] = [];
  begin(): void {
    this.told.push('begin');
  }
  reject({ code }: HearthlendError): void {
    this.told.push(code);
  }
}

const step = fc.oneof(
  fc.constant({ type: 'ask' as const }),
  fc.constant({ type: 'answer' as const }),
  fc.record({ type: fc.constant('drop' as const), at: fc.nat(5) }),
  fc.record({ type: fc.constant('end' as const), blame: fc.constantFrom('first' as const, 'answered' as const) }),
);

test('what was asked begins in order, once what is before it is answered, and ends once: by its own fault where it is at work, else by nobody’s', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const pipeline = new Pipeline<Noted>();
      /** In order; what is dropped stays in the worker. */
      let line: Array<{ asked: Noted; dropped: boolean }> = [];
      const all: Noted[] = [];
      const expected = new Map<Noted, string[]>();
      const tell = (asked: Noted | undefined, what: string) => asked && expected.get(asked)?.push(what);
      const end = (blame: 'first' | 'answered') => {
        pipeline.end(new HearthlendError('WORKER_CRASHED', { how: 'x' }), blame);
        for (const [at, { asked, dropped }] of line.entries()) {
          if (!dropped) tell(asked, at === 0 && blame === 'first' ? 'WORKER_CRASHED' : 'WORKER_STOPPED');
        }
        line = [];
      };
      for (const each of steps) {
        if (each.type === 'ask') {
          const asked = new Noted();
          all.push(asked);
          expected.set(asked, []);
          line.push({ asked, dropped: false });
          if (line.length === 1) tell(asked, 'begin');
          pipeline.add(asked);
        } else if (each.type === 'answer' && line.length > 0) {
          const ends = pipeline.answered();
          line.shift();
          expect(ends?.code ?? null).toBe(line[0]?.dropped === true ? 'CANCELLED' : null);
          // As whoever has it does.
          if (ends !== null) end('first');
          else tell(line[0]?.asked, 'begin');
        } else if (each.type === 'drop') {
          const entry = line[each.at];
          pipeline.drop(entry?.asked ?? new Noted(), new HearthlendError('CANCELLED'));
          if (each.at === 0 || entry === undefined || entry.dropped) continue;
          entry.dropped = true;
          tell(entry.asked, 'CANCELLED');
        } else if (each.type === 'end') end(each.blame);
        expect(pipeline.first).toBe(line[0]?.asked ?? null);
        expect(pipeline.waiting).toEqual(line.slice(1).map(({ asked }) => asked));
      }
      for (const asked of all) expect(asked.told).toEqual(expected.get(asked));
    }),
  );
});
