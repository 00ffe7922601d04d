import { type WorkerNkey, WorkerNkey as WorkerNkeySchema } from '../../core/contract/joining.ts';
import { WORKER_CALLS, WORKER_SUBJECTS, type WorkerCallName } from '../../core/contract/worker-calls.ts';

/** A request as its subject and its reply subject show it. */
export type Request =
  | { type: 'call'; worker: WorkerNkey; call: WorkerCallName }
  /** There is somebody to be told that it is none. */
  | { type: 'unknown-call'; worker: WorkerNkey }
  /** Nobody is answered. */
  | { type: 'drop'; why: 'subject' | 'no-reply' | 'foreign-reply' };

const MAX_REPLY_CHARACTERS = 256;

/**
 * Who asks what. nats-server has proven the worker in the subject, and nothing about the reply subject, which may lead anywhere: an answer goes to the
 * asking worker's own inbox or nowhere.
 */
export function readRequest(subject: string, reply: string | undefined): Request {
  const [prefix, worker = '', call = '', ...rest] = subject.split('.');
  if (prefix !== 'w' || !WorkerNkeySchema.safeParse(worker).success) return { type: 'drop', why: 'subject' };
  if (reply === undefined || reply === '') return { type: 'drop', why: 'no-reply' };
  if (!isOwnInbox(worker, reply)) return { type: 'drop', why: 'foreign-reply' };
  if (rest.length > 0 || !Object.hasOwn(WORKER_CALLS, call)) return { type: 'unknown-call', worker };
  return { type: 'call', worker, call: call as WorkerCallName };
}

function isOwnInbox(worker: WorkerNkey, reply: string): boolean {
  const inbox = `${WORKER_SUBJECTS.inboxPrefix(worker)}.`;
  if (!reply.startsWith(inbox) || reply.length > MAX_REPLY_CHARACTERS) return false;
  // Whole tokens, no wildcard, and not where events come from.
  return /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(reply.slice(inbox.length)) && reply !== WORKER_SUBJECTS.events(worker);
}
