import type { DecoderLayout } from '../shard/decoder-layout.ts';
import { type Generated, type GenerateRequest, generate as generateBy } from '../shard/generate.ts';
import type { Session } from '../shard/session.ts';
import { DecoderPasses } from './decoder-passes.ts';
import type { Ort } from './onnxruntime.ts';

/** A decoder loop over onnxruntime-node, with the cache kept where it is fastest. @throws what the shared loop throws */
export function generate(
  ort: Ort,
  session: Session,
  request: GenerateRequest,
  body: Uint8Array,
  onToken: (token: number, index: number) => void,
  isToEnd?: () => boolean,
): Promise<Generated> {
  const openPasses = (layout: DecoderLayout, mostPositions: number) => new DecoderPasses(ort, session, layout, mostPositions);
  return generateBy(session, openPasses, request, body, onToken, isToEnd);
}
