import { app, powerMonitor } from 'electron';
import type { Deps, Feature } from './feature.ts';

/**
 * Lets the agent sleep and stop with the machine: a worker that were merely frozen would wake to an expired lease and to a GPU whose memory
 * may be gone.
 */
export function initPower({ app: agent, troubles, quit, log }: Deps): Feature {
  return {
    onLoad() {
      powerMonitor.on('suspend', () => {
        log('info', 'the machine goes to sleep');
        agent.suspend().catch(troubles.tell);
      });
      powerMonitor.on('resume', () => {
        log('info', 'the machine is awake');
        agent.wake();
      });
      // Linux and macOS wait for us, a little.
      powerMonitor.on('shutdown', (event?: Electron.Event) => {
        event?.preventDefault();
        quit({ now: true });
      });
      // Windows tells its windows.
      app.on('browser-window-created', (_event, window) => window.on('session-end', () => quit({ now: true })));
    },
  };
}
