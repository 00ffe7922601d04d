import type { SignalChange, SignalContext, SignalSource } from '../../../contract/policy.ts';
import { openChildLines } from '../child-lines.ts';
import { keepUp, type Watching } from '../keep-up.ts';
import { type Card, listCards, sleepOf } from './cards.ts';
import { createPmonReader, type PmonRow, pmonUse } from './pmon.ts';
import { ownProcesses } from './proc.ts';

const SECONDS_BETWEEN = 2;
/** Lines of one moment come at once; after so long without one the moment is over. */
const MOMENT_MS = 150;
/** A card that may sleep is asked so seldom that it falls asleep in between, and only while it is awake. */
const SELDOM_MS = 30_000;
const LOOK_MS = 5000;

/**
 * What programs that aren't ours make of NVIDIA's cards, by one `nvidia-smi pmon` that goes on. On a laptop that alone would keep the card awake:
 * there it runs while we work, and otherwise now and then while somebody has the card awake anyway.
 */
export function nvidiaSource(root = '/', command = 'nvidia-smi'): SignalSource {
  return {
    name: 'nvidia',
    start(context) {
      // Of those that are listed by address, nvidia-smi counts in that order.
      const cards = listCards(root).filter(({ maker }) => maker === 'nvidia');
      if (cards.length === 0) return () => undefined;
      const unknown: SignalChange = { gpus: Object.fromEntries(cards.map(({ id }) => [id, { otherLoad: null, otherVramBytes: null }])) };
      return keepUp({ name: 'nvidia-smi', unknown }, context, () => open({ root, command, cards }, context));
    },
  };
}

interface Parts {
  root: string;
  command: string;
  cards: readonly Card[];
}

async function open({ root, command, cards }: Parts, context: SignalContext): Promise<Watching> {
  const over = Promise.withResolvers<string>();
  let child: Watching | null = null;
  let starting: Promise<void> | null = null;
  let goesOn = false;
  let askedAt = Number.NEGATIVE_INFINITY;
  let closing = false;

  const moments = gatherMoments(cards, context);
  const start = async (going: boolean): Promise<void> => {
    goesOn = going;
    askedAt = performance.now();
    const rounds = going ? ['-d', String(SECONDS_BETWEEN)] : ['-c', '1'];
    const started = await openChildLines({ command, args: ['pmon', '-s', 'um', ...rounds] }, moments.add);
    child = started;
    void started.closed.then((why) => {
      child = null;
      if (going && goesOn && !closing) over.resolve(why);
    });
  };
  const look = (): void => {
    if (starting !== null || closing) return;
    const sleeps = cards.map(({ id }) => sleepOf(root, id));
    tellAsleep(cards, sleeps, context);
    const going = context.working() || sleeps.every(({ maySleep }) => !maySleep);
    if (child !== null) {
      if (goesOn && !going) {
        goesOn = false;
        void child.close();
      }
      return;
    }
    const awake = sleeps.some(({ asleep }) => !asleep);
    if (!going && (!awake || performance.now() - askedAt < SELDOM_MS)) return;
    starting = start(going).then(
      () => {
        starting = null;
      },
      (error: Error) => over.resolve(error.message),
    );
  };
  const leave = context.onChange(look);
  const timer = setInterval(look, LOOK_MS);
  look();
  return {
    closed: over.promise,
    async close() {
      closing = true;
      clearInterval(timer);
      leave();
      await starting;
      await child?.close();
      moments.stop();
    },
  };
}

/** A card that sleeps is used by nobody. */
function tellAsleep(cards: readonly Card[], sleeps: readonly { asleep: boolean }[], context: SignalContext): void {
  const asleep = cards.filter((_, at) => sleeps[at]?.asleep);
  if (asleep.length > 0) context.publish({ gpus: Object.fromEntries(asleep.map(({ id }) => [id, { otherLoad: 0, otherVramBytes: 0 }])) });
}

/** Puts the lines of a moment together, and tells what they say. */
function gatherMoments(cards: readonly Card[], context: SignalContext): { add(line: string): void; stop(): void } {
  const read = createPmonReader();
  let rows: PmonRow[] = [];
  let timer: NodeJS.Timeout | undefined;
  const tell = (): void => {
    const uses = pmonUse(rows, ownProcesses());
    rows = [];
    const gpus: SignalChange['gpus'] = {};
    for (const [index, { load, vramBytes }] of uses) {
      const card = cards[index];
      if (card !== undefined) gpus[card.id] = { otherLoad: load, otherVramBytes: vramBytes };
    }
    if (Object.keys(gpus).length > 0) context.publish({ gpus });
  };
  return {
    add(line) {
      const row = read(line);
      if (row === null) return;
      rows.push(row);
      clearTimeout(timer);
      timer = setTimeout(tell, MOMENT_MS);
    },
    stop: () => clearTimeout(timer),
  };
}
