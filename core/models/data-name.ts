import { HearthlendError } from '../contract/errors.ts';
import { ModelPath } from '../contract/model.ts';

/** An external-data location as a plain path. @throws MODEL_PATH_UNSAFE where it leads out of the model's folder by its name */
export function dataName(location: string): string {
  const name = location.replace(/^(\.\/)+/, '');
  // ONNX Runtime takes this name for an address in its own memory.
  if (ModelPath.safeParse(name).success && !name.includes('_ORT_MEM_ADDR_')) return name;
  throw new HearthlendError('MODEL_PATH_UNSAFE', { path: location });
}
