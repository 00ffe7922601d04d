import type { BreakOutAttempt, IsolationLevel } from './isolation.ts';
import type { WorkerRequest } from './worker-messages.ts';

/** What a worker uses just now, all processes of it. */
export interface Usage {
  residentBytes: number;
  /** Processor time so far. */
  cpuMs: number;
  /** Left out where it isn't known. */
  threads?: number;
}

/** What becomes known of a worker, in this order; `gone` once, last. */
export interface WorkerListener {
  /** Bytes of the frames that it sends, as they come. */
  data(chunk: Uint8Array): void;
  /** What it says to whoever reads the log. */
  said(chunk: Uint8Array): void;
  /** It can't be used, or no longer: why. It is killed then. */
  failed(detail: string): void;
  /** Every process of it is gone and its memory is returned. */
  gone(how: string): void;
}

/** A worker that was started, whatever hosts it: a process behind the system's sandbox, or a page in Chromium's. */
export interface StartedWorker {
  /** Process id of what was started; undefined where that failed, or it has none of its own. */
  readonly pid: number | undefined;
  /** Time that it may take until it says that it is ready. */
  readonly readyMs: number;
  /** What it takes in memory before any model is loaded, at most. */
  readonly runtimeBytes: number;
  /** To be called once, before anything is sent. */
  listen(listener: WorkerListener): void;
  send(request: WorkerRequest, body: Uint8Array | undefined): void;
  /** Kills it at once, with everything that it started. `gone` tells when that is done. */
  kill(): void;
  /** Null where this system doesn't tell, or it is gone. */
  usage(): Usage | null;
  /** Stops it where it is, or lets it go on. Undefined where a frozen one could outlive the agent. */
  freeze?: ((frozen: boolean) => void) | undefined;
}

/** Starts a worker that sees one folder as its models, and nothing else. @throws where the system refuses at once */
export type StartWorker = (needs: { modelsDir: string }) => StartedWorker;

/** What a shell can host GPU windows in: an installed browser, or its own. */
export interface GpuWindowHost {
  /** Under what a page of it runs. */
  level: IsolationLevel;
  start: StartWorker;
  /** The same, and one without the browser's sandbox, whatever they compute on: to be measured against each other. Null where that can't be. */
  forBench: { walled: StartWorker; bare: StartWorker } | null;
  /** Tries to break out of the identical page. @throws where it doesn't run to its end */
  probe(): Promise<BreakOutAttempt[]>;
}
