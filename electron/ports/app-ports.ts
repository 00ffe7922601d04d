import { join } from 'node:path';
import { powerMonitor } from 'electron';
import { createEmbeddedCoordinator } from '../../coordinator/embedded.ts';
import { openRequests } from '../../coordinator/openai/open.ts';
import { loadWordnetPractice } from '../../coordinator/practice/wordnet.ts';
import type { AppPorts } from '../../core/app-ports.ts';
import { openSignalSources } from '../../core/policy/signals/open.ts';
import { electronHost } from '../gpu-window/host.ts';
import { shellPower } from './shell-power.ts';

interface ShellParts extends Pick<AppPorts, 'dataDir' | 'version' | 'log' | 'parts'> {
  /** Folder of this program's own files. */
  appPath: string;
}

/** What the desktop shell hands to the agent: this program's own parts, and the coordinator in the same process. */
export function appPorts({ dataDir, appPath, version, log, parts }: ShellParts): AppPorts {
  return {
    dataDir,
    version,
    clock: Date.now,
    log,
    parts,
    gpuWindow: () =>
      electronHost({ folder: join(appPath, 'dist', 'gpu-window'), preload: join(appPath, 'dist', 'electron', 'gpu-window-preload.cjs') }),
    signalSources: openSignalSources({
      platform: process.platform,
      env: process.env,
      watchers: parts.watchers,
      shellPower: shellPower(powerMonitor, process.platform),
    }),
    openRequests,
    async createCoordinator({ dir, signer, reference, quota, clock, log: coordinatorLog, practice }) {
      return createEmbeddedCoordinator({
        dir,
        networkId: 'local',
        signer,
        reference,
        practice: await loadWordnetPractice(practice),
        quota,
        clock,
        random: Math.random,
        log: coordinatorLog,
      });
    },
  };
}
