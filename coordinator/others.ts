import type { MadeOfShard } from '../core/contract/jobs.ts';
import type { StageReply } from '../core/contract/network.ts';
import type { Worker } from './service.ts';
import type { AttemptKey } from './store.ts';

/** One of several messages in which the outputs of a step come, counted from 0. */
export interface Part {
  index: number;
  of: number;
}

/** How a stage's step came here: in parts, of which this is one; or by another coordinator, which was asked. */
export interface Exchanging {
  part?: Part | undefined;
  passedOn?: boolean;
}

/** What a worker's stage asked of a coordinator that does not drive its generation. */
export interface StageAsk {
  worker: Worker;
  key: AttemptKey;
  step: number;
  part?: Part;
}

/** The network's other coordinators, as far as a message reaches them now. What is told may be lost; nothing that has to last goes this way. */
export interface Others {
  /** By which this one is told from them. */
  readonly self: string;
  tellMade(made: MadeOfShard): void;
  onMade(listener: (made: MadeOfShard) => void): () => void;
  /** Has another one answer, which has the generation's steps. @throws NETWORK_BUSY where that one does not answer, and what it throws */
  exchange(coordinator: string, asked: StageAsk, outputs: Uint8Array | null): Promise<StageReply>;
  /** Answers what others pass on, from now on. */
  answer(exchange: (asked: StageAsk, outputs: Uint8Array | null) => Promise<StageReply>): void;
}
