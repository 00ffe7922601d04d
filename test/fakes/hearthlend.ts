// The program `hearthlend` as a process of its own, with its real terminal, signals and loopback server, around an agent that does no work.
// Arguments: the data folder, then a command line. FAKE_BUSY=1: its shard never ends by itself. FAKE_WORK=1: shard after shard is accepted.
import { randomBytes } from 'node:crypto';
import { runCommandLine } from '../../cli/program.ts';
import { processKeyboard } from '../../cli/terminal/keyboard.ts';
import { processSignals } from '../../cli/terminal/signals.ts';
import { FakeApp } from './app.ts';

const [dataDir = '', ...argv] = process.argv.slice(2);

process.exit(
  await runCommandLine(argv, {
    stdout: process.stdout,
    stderr: process.stderr,
    env: {},
    platform: process.platform,
    uid: process.getuid?.(),
    cwd: process.cwd(),
    clock: Date.now,
    dataDir: () => dataDir,
    signals: processSignals(process.stdout),
    keyboard: processKeyboard(process.stdin, process.stderr),
    version: process.env.FAKE_VERSION ?? '0.1.0',
    uiFolder: process.env.FAKE_UI ?? `/${randomBytes(8).toString('hex')}`,
    openApp: async () => {
      const app = new FakeApp();
      app.busy = process.env.FAKE_BUSY === '1';
      // As a real agent does with its lock and its sockets, it keeps the process alive.
      const alive = setInterval(() => {
        if (process.env.FAKE_WORK === '1') app.accept();
      }, 20);
      const end = () => clearInterval(alive);
      app.finished.then(end, end);
      return app;
    },
    operate: async () => Promise.reject(new Error('no coordinator here')),
    escrowDesk: async () => Promise.reject(new Error('no escrow here')),
    shareNetwork: async () => Promise.reject(new Error('no coordinator here')),
    verifyLedger: () => new FakeApp().handlers['ledger.verify']({}),
    diagnose: async () => ({ parts: [], zip: () => new Uint8Array(0) }),
    addBackend: async () => ({ version: '1.30.0', bytes: 0 }),
    bench: async function* () {
      yield* [];
    },
  }),
);
