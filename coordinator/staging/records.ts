import type { Sha256 } from '../../core/contract/digest.ts';
import type { AttemptKey } from '../store.ts';

/** What a stage that was told that its generation is over has to hand in. */
interface StageResult {
  commitment: Sha256;
  units: number;
}

/** Which coordinator of a network drives a staged generation: what it needs for that is in its memory. Times in ms since 1970. */
export interface StagingReads {
  driver(jobId: string): Promise<{ coordinator: string; seenAt: number } | null>;
  /** Generations of which stages wait to be lent, and whether others of their stages are lent already. */
  stagedWaiting(): Promise<{ jobId: string; begun: boolean }[]>;
  stageResult(key: AttemptKey): Promise<StageResult | null>;
}

export interface StagingChanges {
  /** Takes a generation over that nobody drives, or whose driver was not heard of since `staleBefore`; its driver says that it is there. Gives who drives it. */
  drive(jobId: string, coordinator: string, at: number, staleBefore: number): string;
  /** From its driver, so that any coordinator can take the result. */
  expectResult(key: AttemptKey, result: StageResult): void;
}
