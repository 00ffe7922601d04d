import { HearthlendError } from '../contract/errors.ts';
import type { AddedModel } from '../contract/models.ts';

const HUB_NAME = /^(hf:[^@#]+)(?:@([^#]+))?(?:#(.+))?$/;

/**
 * The added model that somebody means: by its whole name, the first eight digits or more of its digest, or hf:OWNER/NAME with as much of
 * @REVISION and #FILE as tells it from the others.
 * @throws MODEL_UNKNOWN, MODEL_AMBIGUOUS
 */
export function findAdded(models: readonly AddedModel[], wanted: string): AddedModel {
  const [found, ...others] = matches(models, wanted);
  if (found === undefined) throw new HearthlendError('MODEL_UNKNOWN', { model: wanted });
  if (others.length === 0) return found;
  const names = [found, ...others].map(({ digest, name }) => `${digest.slice(0, 8)} (${name})`).join(', ');
  throw new HearthlendError('MODEL_AMBIGUOUS', { model: wanted, names });
}

function matches(models: readonly AddedModel[], wanted: string): AddedModel[] {
  if (/^[0-9a-f]{8,64}$/.test(wanted)) {
    const byDigest = models.filter(({ digest }) => digest.startsWith(wanted));
    if (byDigest.length > 0) return byDigest;
  }
  const hub = HUB_NAME.exec(wanted);
  if (hub === null) return models.filter(({ name }) => name === wanted);
  const [, base, revision, file] = hub;
  return models.filter(
    ({ origin, entry }) =>
      origin.type === 'hub' &&
      `hf:${origin.repository}` === base &&
      (file === undefined || entry === file) &&
      (revision === undefined || origin.requested === revision || (revision.length >= 7 && origin.revision.startsWith(revision))),
  );
}
