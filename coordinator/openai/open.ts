import { asHearthlendError } from '../../core/contract/errors.ts';
import type { EmbeddedCoordinator } from '../../core/contract/jobs.ts';
import type { ServedModels } from '../../core/contract/serving.ts';
import type { Log } from '../log.ts';
import { createRequestHandler } from './handler.ts';
import { REQUEST_LIMITS } from './limits.ts';
import { listenOnLoopback, type RequestServer } from './listen.ts';

/** Jobs by which requests were answered: whoever waited for them is gone when the program has ended in between. */
const ANSWERS = /^(chatcmpl|cmpl|embd)-/;

/**
 * Answers OpenAI's interface on this machine's loopback, by jobs of the embedded coordinator.
 * @param port 0: any free one @throws PORT_IN_USE
 */
export async function openRequests({
  coordinator,
  models,
  port,
  clock,
  log,
}: {
  coordinator: EmbeddedCoordinator;
  models: ServedModels;
  port: number;
  clock: () => number;
  log: Log;
}): Promise<RequestServer> {
  for (const { id, state } of await coordinator.jobs()) {
    if (ANSWERS.test(id) && (state === 'queued' || state === 'running')) {
      await coordinator
        .cancelJob(id)
        .catch((thrown: unknown) => log('warn', 'job-not-cancelled', { job: id, code: asHearthlendError(thrown).code }));
    }
  }
  const handler = createRequestHandler({
    intake: coordinator,
    models,
    requesterOf: (secret) => coordinator.keys.find(secret),
    ownMachine: true,
    clock,
    log,
    limits: REQUEST_LIMITS,
  });
  return listenOnLoopback(handler, port);
}
