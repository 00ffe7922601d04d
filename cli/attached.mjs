// Runs a program in our place: its terminal, its signals, its end. Needs nothing installed and parses on every Node that knows modules.
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

/** One signal can arrive twice within this time: a Ctrl-C under npm comes from the terminal and from npm. */
const sameSignalMs = 500;

/** True when a terminal controls us: its Ctrl-C and its hanging up reach the whole process group, the child included. */
function hasTerminal() {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return process.platform === 'win32';
  }
}

/**
 * Calls `leave` once when the npm that started us is gone. npm runs us through a shell: a SIGTERM to npm ends that shell, never us, and
 * what it started would run on unseen.
 */
export function whenNpmIsGone(leave) {
  if (process.env.npm_lifecycle_event === undefined || process.platform === 'win32') return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    leave();
  }, 500);
  timer.unref();
}

/** Runs `command` on this terminal, hands it each signal once, and ends as it ends. */
export function runAttached(command, args) {
  return attach(spawn(command, args, { stdio: 'inherit' }));
}

/** Hands each signal once to a child that runs, and ends as it ends. */
export function attach(child) {
  const fromTerminal = hasTerminal() ? ['SIGINT', 'SIGHUP'] : [];
  return new Promise((_resolve, reject) => {
    // Who waited for something else may come after its end.
    if (child.exitCode !== null) process.exit(child.exitCode);
    const lastMs = {};
    const handle = (signal) => {
      const now = Date.now();
      const repeated = now - (lastMs[signal] || 0) < sameSignalMs;
      lastMs[signal] = now;
      if (!repeated && !fromTerminal.includes(signal)) child.kill(signal);
    };
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, handle);
    whenNpmIsGone(() => child.kill('SIGTERM'));
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      if (signal === null) process.exit(code);
      for (const each of signals) process.removeListener(each, handle);
      process.kill(process.pid, signal);
      // We don't die of every signal that the child can die of, such as SIGSEGV where it is handled.
      setTimeout(() => process.exit(1), 1000);
    });
  });
}
