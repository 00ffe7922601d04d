import { join } from 'node:path';
import { createEmbeddedCoordinator } from '../../coordinator/embedded.ts';
import { openRequests } from '../../coordinator/openai/open.ts';
import { loadWordnetPractice } from '../../coordinator/practice/wordnet.ts';
import type { AppPorts } from '../../core/app-ports.ts';
import { headlessHost } from '../../core/gpu-window/headless-host.ts';
import { openLog } from '../../core/log/log.ts';
import { openSignalSources } from '../../core/policy/signals/open.ts';
import { treeUsage } from '../../core/supervisor/process-usage.ts';
import { findBrowsers, isConfined } from '../window/browsers.ts';
import type { Installation } from './installation.ts';

/** What the headless shell hands to the agent: this Node, this program's own parts, and the coordinator in the same process. */
export function appPorts({ dataDir, installation }: { dataDir: string; installation: Installation }): AppPorts {
  const { root, version } = installation;
  const watchers = join(root, 'resources/signals');
  return {
    dataDir,
    version,
    clock: Date.now,
    log: openLog(join(dataDir, 'agent.log'), Date.now, (line) => process.stderr.write(`${line}\n`)),
    parts: {
      nodePath: process.execPath,
      workerScript: join(root, 'dist/worker/native.mjs'),
      probeScript: join(root, 'dist/worker/probe.mjs'),
      signerScript: join(root, 'dist/wallet/signer.mjs'),
      practiceModel: join(root, 'resources/models/wordnet-lm'),
      watchers,
    },
    gpuWindow() {
      const browserPath = findBrowsers(process.platform, process.env).find((path) => !isConfined(path));
      const folder = join(root, 'dist/gpu-window');
      return browserPath === undefined
        ? null
        : headlessHost({ browserPath, folder, platform: process.platform, uid: process.getuid?.(), usage: treeUsage });
    },
    signalSources: openSignalSources({ platform: process.platform, env: process.env, watchers, shellPower: null }),
    openRequests,
    async createCoordinator({ dir, signer, reference, quota, clock, log, practice }) {
      return createEmbeddedCoordinator({
        dir,
        networkId: 'local',
        signer,
        reference,
        practice: await loadWordnetPractice(practice),
        quota,
        clock,
        random: Math.random,
        log,
      });
    },
  };
}
