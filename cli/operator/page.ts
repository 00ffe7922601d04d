import { rmSync } from 'node:fs';
import type { OperatorPage } from '../../coordinator/operating/operate.ts';
import type { Store } from '../../coordinator/store.ts';
import type { JobStatus } from '../../core/contract/network.ts';
import type { MemberRow, OperatorHandlers } from '../../core/contract/operating.ts';
import { type OperatorView, PAGE_CALLS, PAGE_ROWS, type PageHandlers } from '../../core/contract/operator-page.ts';
import { RpcRequest } from '../../core/contract/rpc.ts';
import { answer } from '../../core/contract/rpc-server.ts';
import { createAccess } from '../../core/loopback/access.ts';
import { type Bundle, readBundle } from '../../core/loopback/bundle.ts';
import { launchFilePath, removeLaunchFiles } from '../../core/loopback/launch-file.ts';
import { LOOPBACK_LIMITS } from '../../core/loopback/limits.ts';
import { openLoopback } from '../../core/loopback/server.ts';

/** A busy network changes all the time: whoever watches is told this often at most, and this often in any case, since machines come and go unrecorded. */
const TELL_MS = 1000;
const TELL_ANYWAY_MS = 10_000;

interface PageParts {
  /** The coordinator's folder, where the file lies that a browser is started on. */
  dir: string;
  uiFolder: string;
  handlers: Omit<OperatorHandlers, 'open'>;
  onChange: Store['onApplied'];
}

/** Serves the operator's page on the loopback, by the rules of the agent's: our own host name, a single-use code, then a session token. @throws PORT_IN_USE */
export async function serveOperatorPage({ dir, uiFolder, handlers, onChange }: PageParts): Promise<OperatorPage> {
  await removeLaunchFiles(dir);
  const access = createAccess(LOOPBACK_LIMITS.codeMs);
  const watchers = new Set<(view: OperatorView) => void>();
  let told = '';
  let telling: Promise<void> | null = null;
  let timer: NodeJS.Timeout | undefined;

  async function tell(): Promise<void> {
    if (watchers.size === 0) return;
    const view = await viewOf(handlers);
    const { now, ...status } = view.status;
    const text = JSON.stringify({ ...view, status });
    if (text === told) return;
    told = text;
    for (const watcher of watchers) watcher(view);
  }

  function tellSoon(): void {
    if (watchers.size === 0) return;
    timer ??= setTimeout(() => {
      timer = undefined;
      telling ??= tell()
        // The next change brings it.
        .catch(() => undefined)
        .finally(() => {
          telling = null;
        });
    }, TELL_MS).unref();
  }

  const anyway = setInterval(tellSoon, TELL_ANYWAY_MS).unref();
  const unfollow = onChange(tellSoon);
  const calls: PageHandlers = {
    'app.watch': () => viewOf(handlers),
    'network.invite': handlers.invite,
    'worker.revoke': handlers.revoke,
    'worker.reinstate': handlers.reinstate,
    'job.cancel': handlers.cancel,
  };

  const loopback = await openLoopback(
    null,
    operatorsOwn(await readBundle(uiFolder)),
    {
      access,
      open(scope, send) {
        let inFlight = 0;
        const watcher = (view: OperatorView) => send({ event: 'view', data: view });
        return {
          async receive(raw) {
            const request = RpcRequest.safeParse(raw);
            if (!request.success) return 'malformed';
            if (inFlight >= LOOPBACK_LIMITS.callsInFlight) return 'too-many';
            inFlight += 1;
            send(await answer(calls, scope, request.data, PAGE_CALLS));
            inFlight -= 1;
            if (request.data.call === 'app.watch') watchers.add(watcher);
            return 'answered';
          },
          end: () => watchers.delete(watcher),
        };
      },
    },
    LOOPBACK_LIMITS,
  );
  const address = `http://127.0.0.1:${loopback.port}`;
  return {
    newCode() {
      const code = access.issueCode(() => rmSync(launchFilePath(dir, code), { force: true }));
      return { url: `${address}/#code=${code}`, code };
    },
    async close() {
      unfollow();
      clearInterval(anyway);
      clearTimeout(timer);
      access.close();
      await telling;
      await loopback.close();
    },
  };
}

/** Of the built pages the operator's stands at the root, and the agent's not at all. */
function operatorsOwn(bundle: Bundle): Bundle {
  const page = bundle.get('/operator.html');
  const files = [...bundle].filter(([path]) => !/^\/(index\.html|operator\.html)?$/.test(path));
  return new Map(page === undefined ? files : [['/', page], ...files]);
}

async function viewOf(handlers: PageParts['handlers']): Promise<OperatorView> {
  const [status, { workers }, { jobs }, { appeals }] = await Promise.all([
    handlers.status({}),
    handlers.workers({}),
    handlers.jobs({}),
    handlers.appeals({}),
  ]);
  return {
    status,
    workers: [...workers].sort(byUse).slice(0, PAGE_ROWS.workers),
    workersInAll: workers.length,
    jobs: [...jobs].sort(byAge).slice(0, PAGE_ROWS.jobs),
    jobsInAll: jobs.length,
    appeals: appeals.slice(0, PAGE_ROWS.appeals),
  };
}

/** Those at work first, then those that have done most; who was shut out comes last. */
function byUse(a: MemberRow, b: MemberRow): number {
  return (
    Number(a.revokedAt !== null) - Number(b.revokedAt !== null) || b.open - a.open || b.accepted - a.accepted || a.joinedAt - b.joinedAt
  );
}

function byAge(a: JobStatus, b: JobStatus): number {
  const isOver = ({ state }: JobStatus) => state !== 'queued' && state !== 'running';
  return Number(isOver(a)) - Number(isOver(b)) || b.createdAt - a.createdAt;
}
