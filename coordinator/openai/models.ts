import { HearthlendError } from '../../core/contract/errors.ts';
import type { ServedModel, ServedModels } from '../../core/contract/serving.ts';

/** GET /v1/models. Source of the objects: the reference of OpenAI's API, "The model object". */
export function listModels(models: ServedModels): object {
  return { object: 'list', data: models.list().map(modelObject) };
}

/** GET /v1/models/{model}; the name may have slashes, escaped or not. @throws MODEL_UNKNOWN */
export function showModel(models: ServedModels, id: string): object {
  const found = models.list().find((model) => model.id === id);
  if (found === undefined) throw new HearthlendError('MODEL_UNKNOWN', { model: id });
  return modelObject(found);
}

function modelObject({ id, addedAt }: ServedModel): object {
  return { id, object: 'model', created: Math.floor(addedAt / 1000), owned_by: 'hearthlend' };
}
