import type { Operating } from '../../coordinator/operating/operate.ts';
import type { Wall } from '../../core/supervisor/sandbox/plan.ts';

/** What `hearthlend coordinator` was asked to run. */
export interface OperateRequest {
  /** The coordinator's folder, inside the data folder. */
  dir: string;
  name: string | null;
  operator: string | null;
  /** Path of a terms file. */
  terms: string | null;
  /** HTTPS; NATS, WebSockets and the loopback have the ports after it. 0: any free ones. */
  port: number;
  websocket: boolean;
  /** Begins the network's log anew from what this coordinator has, where it is gone or damaged. */
  restoreLog: boolean;
  advertise: readonly string[];
  /** An existing cluster, and the file that opens it; null: a NATS server of our own. */
  nats: { servers: readonly string[]; credentials: string } | null;
  announced: boolean;
  /** Decoders and encoders that requesters may ask by name, as paths; the practice model where there are none. */
  models: readonly string[];
  version: string;
}

/** A coordinator that runs in this process, and what its reference stands behind. */
export interface Operated extends Operating {
  wall: Wall['wall'];
}

/** The folder of a data folder in which the operator's coordinator lives. The embedded one has `coordinator`. */
export const OPERATOR_FOLDER = 'operator';
