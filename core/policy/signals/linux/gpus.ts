import type { SignalChange, SignalSource } from '../../../contract/policy.ts';
import { type Card, listCards, readCardNumber, sleepOf } from './cards.ts';
import { clientsUse, type DrmClient, type GpuUse, parseFdinfo } from './fdinfo.ts';
import { followProc, listProc, ownProcesses, readProc } from './proc.ts';

const LOOK_MS = 3000;
/** Processes whose open files are gone through at each look; the rest wait for their turn. */
const PROCESSES_A_LOOK = 25;
const MAX_FILES = 1024;

/**
 * What programs that aren't ours make of AMD's and Intel's cards, by what their drivers tell of each open file. Files of other users' processes
 * can't be seen; while nothing of ours computes, AMD's whole load and memory are the others'.
 */
export function gpusSource(root = '/'): SignalSource {
  return {
    name: 'gpus',
    start(context) {
      const cards = listCards(root).filter(({ maker }) => maker !== 'nvidia');
      if (cards.length === 0) return () => undefined;
      const files = createDrmFiles();
      let before: { clients: DrmClient[]; at: number } | null = null;
      const timer = setInterval(() => {
        files.look();
        const now = { clients: files.clients(ownProcesses()), at: performance.now() };
        const uses = before === null ? new Map<string, GpuUse>() : clientsUse(before.clients, now.clients, now.at - before.at);
        before = now;
        const gpus: SignalChange['gpus'] = {};
        for (const card of cards) {
          const { load, vramBytes } = cardUse(root, card, uses.get(card.id), context.working());
          gpus[card.id] = { otherLoad: load, otherVramBytes: vramBytes };
        }
        context.publish({ gpus });
      }, LOOK_MS);
      return () => clearInterval(timer);
    },
  };
}

/**
 * A card's use by others: what its clients tell, and what the driver tells of the whole while nothing of ours is part of it. A sleeping one is
 * used by nobody, and is not asked.
 */
export function cardUse(root: string, { id, maker }: Card, clients: GpuUse | undefined, working: boolean): GpuUse {
  if (sleepOf(root, id).asleep) return { load: 0, vramBytes: null };
  const use = clients ?? { load: null, vramBytes: null };
  if (maker !== 'amd' || working) return use;
  const percent = readCardNumber(root, id, 'gpu_busy_percent');
  const busy = percent !== null && percent <= 100 ? percent / 100 : null;
  return { load: largest(use.load, busy), vramBytes: largest(use.vramBytes, readCardNumber(root, id, 'mem_info_vram_used')) };
}

function largest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}

/** Files of processes that a graphics driver has given out. Finding them costs most, and goes on a few processes at a time. */
function createDrmFiles(): { look(): void; clients(without: ReadonlySet<number>): DrmClient[] } {
  const found = new Map<number, number[]>();
  let queue: number[] = [];
  return {
    look() {
      const pids = new Set(listProc(''));
      for (const pid of found.keys()) if (!pids.has(pid)) found.delete(pid);
      if (queue.length === 0) queue = [...pids];
      // Those that have just come go first.
      queue.sort((a, b) => Number(found.has(a)) - Number(found.has(b)));
      for (const pid of queue.splice(0, PROCESSES_A_LOOK)) {
        const files = listProc(`${pid}/fd`).slice(0, MAX_FILES);
        found.set(
          pid,
          files.filter((file) => followProc(`${pid}/fd/${file}`)?.startsWith('/dev/dri/')),
        );
      }
    },
    clients: (without) =>
      [...found].flatMap(([pid, files]) =>
        without.has(pid)
          ? []
          : files.flatMap((file) => {
              const client = parseFdinfo(readProc(`${pid}/fdinfo/${file}`) ?? '');
              return client === null ? [] : [client];
            }),
      ),
  };
}
