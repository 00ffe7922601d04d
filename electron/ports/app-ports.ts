import { powerMonitor } from 'electron';
import { createEmbeddedCoordinator } from '../../coordinator/embedded.ts';
import { loadWordnetPractice } from '../../coordinator/practice/wordnet.ts';
import type { AppPorts } from '../../core/app-ports.ts';
import { openSignalSources } from '../../core/policy/signals/open.ts';
import { shellPower } from './shell-power.ts';

/** What the desktop shell hands to the agent: this program's own parts, and the coordinator in the same process. */
export function appPorts({ dataDir, version, log, parts }: Pick<AppPorts, 'dataDir' | 'version' | 'log' | 'parts'>): AppPorts {
  return {
    dataDir,
    version,
    clock: Date.now,
    log,
    parts,
    signalSources: openSignalSources({
      platform: process.platform,
      env: process.env,
      watchers: parts.watchers,
      shellPower: shellPower(powerMonitor, process.platform),
    }),
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
