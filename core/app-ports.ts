import type { Bytes32 } from './contract/digest.ts';
import type { EmbeddedCoordinator, LocalModel, ReferenceWorker } from './contract/jobs.ts';
import type { DecoderConfig } from './contract/model.ts';
import type { SignalSource } from './contract/policy.ts';
import type { Address, Signature } from './contract/receipt.ts';
import type { ServedModels } from './contract/serving.ts';
import type { GpuWindowHost } from './contract/worker-host.ts';
import type { Log } from './log/log.ts';

/** Signs digests with a key that nobody else sees. */
interface DigestSigner {
  readonly address: Address;
  signDigest(digest: Bytes32): Signature;
}

/** What the embedded coordinator is given by the agent that hosts it. */
interface CoordinatorNeeds {
  /** Its own folder inside the data folder. */
  dir: string;
  signer: DigestSigner;
  reference: ReferenceWorker;
  quota: { shardsPerDay: number; minutesPerDay: number };
  clock: () => number;
  log: Log;
  /** The practice model: its files, what its decoder needs to be told, and the folder with its tokenizer. */
  practice: { folder: string; model: LocalModel; decoder: DecoderConfig; stopTokens: number[] };
}

/** What answering requests takes. `port` 0: any free one. */
interface RequestNeeds {
  coordinator: EmbeddedCoordinator;
  models: ServedModels;
  port: number;
  clock: () => number;
  log: Log;
}

/** What a shell hands to createApp: everything that differs between shells, or that core may not import. */
export interface AppPorts {
  dataDir: string;
  version: string;
  clock: () => number;
  log: Log;
  /** Where this program's own parts lie. */
  parts: {
    nodePath: string;
    workerScript: string;
    probeScript: string;
    signerScript: string;
    /** Folder of the practice model: config.json, tokenizer.json, onnx/model.onnx. */
    practiceModel: string;
    /** Folder of what Windows and macOS are watched through for the rules. */
    watchers: string;
  };
  /** Where this shell can host GPU windows; null where it can't. Looking may take a second. */
  gpuWindow?: () => GpuWindowHost | null;
  /** What watches the machine for the rules, beyond what the agent watches by itself. */
  signalSources?: readonly SignalSource[];
  /** Answers OpenAI's interface on the loopback. @throws PORT_IN_USE */
  openRequests(needs: RequestNeeds): Promise<{ readonly port: number; close(): Promise<void> }>;
  createCoordinator(needs: CoordinatorNeeds): EmbeddedCoordinator | Promise<EmbeddedCoordinator>;
}
