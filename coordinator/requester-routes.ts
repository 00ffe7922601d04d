import { join } from 'node:path';
import type { ApiKeys } from '../core/contract/api-keys.ts';
import { asHearthlendError } from '../core/contract/errors.ts';
import type { JobIntake } from '../core/contract/jobs.ts';
import type { NetworkTerms } from '../core/contract/joining.ts';
import type { ServedModels } from '../core/contract/serving.ts';
import type { Blobs } from './blobs.ts';
import type { Route } from './https/server.ts';
import { jobRoutes } from './jobs-http/routes.ts';
import { openRequesterUploads } from './jobs-http/uploads.ts';
import type { Log } from './log.ts';
import { createRequestHandler } from './openai/handler.ts';
import { REQUEST_LIMITS } from './openai/limits.ts';
import { requestRoutes } from './openai/routes.ts';
import type { RequesterReads } from './requesters.ts';

interface RequesterOptions {
  /** The coordinator's own folder. */
  dir: string;
  intake: JobIntake;
  keys: ApiKeys;
  store: Pick<RequesterReads, 'requesterOf' | 'jobsOf'>;
  blobs: Pick<Blobs, 'path'>;
  terms: NetworkTerms;
  /** The models that its operator lets be asked. */
  models: ServedModels;
  /** ms since 1970. */
  clock: () => number;
  log: Log;
}

const TIDY_EVERY_MS = 3_600_000;

/** Everything that whoever holds a key may ask of a network's coordinator over its HTTPS. */
export function openRequesterRoutes(options: RequesterOptions): { routes: Route[]; close(): void } {
  const { dir, intake, keys, models, clock, log } = options;
  const uploads = openRequesterUploads(join(dir, 'requester-uploads'));
  const tidy = () => {
    uploads.tidy(clock()).catch((thrown: unknown) => log('error', 'uploads-not-tidied', { detail: asHearthlendError(thrown).message }));
  };
  tidy();
  const tidying = setInterval(tidy, TIDY_EVERY_MS).unref();
  if (models.list().length > 0 && !options.terms.prices.some(({ unit }) => unit === 'token')) log('warn', 'no-price-for-tokens', {});
  const handler = createRequestHandler({
    ...{ intake, models, clock, log, limits: REQUEST_LIMITS },
    requesterOf: (secret) => keys.find(secret),
    ownMachine: false,
  });
  return {
    routes: [...requestRoutes(handler), ...jobRoutes({ ...options, uploads })],
    close() {
      clearInterval(tidying);
      handler.close();
    },
  };
}
